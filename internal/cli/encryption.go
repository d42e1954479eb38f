package cli

import (
	"fmt"
	"os"

	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/runner/tofu"
)

// passphraseVariable holds the passphrase of states that no key of a cloud encrypts.
const passphraseVariable = "STRATA_STATE_PASSPHRASE"

// encryption says how the states of an environment are encrypted. Outside local
// environments and stand-ins, whose secrets are made up, one that would not be is
// refused.
func encryption(e *model.Environment, offline bool) (tofu.Encryption, error) {
	if offline || e.Spec.Cloud == model.CloudLocal || e.Spec.State == nil {
		return tofu.Encryption{}, nil
	}
	s := e.Spec.State
	out := tofu.Encryption{Passphrase: os.Getenv(passphraseVariable)}
	switch {
	case s.Backend == "s3" && s.KMSKey != "":
		out.AWSKey = s.KMSKey
	case s.Backend == "gcs" && s.KMSKey != "":
		out.GCPKey = s.KMSKey
	case out.Passphrase == "":
		return out, fmt.Errorf("%s: the state of %s would not be encrypted: name a key in spec.state.kmsKey (backends s3 and gcs), or give a passphrase in %s",
			e.Source.File, e.Metadata.Name, passphraseVariable)
	}
	return out, nil
}
