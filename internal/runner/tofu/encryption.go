package tofu

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Encryption says with what OpenTofu encrypts states and saved plans before they
// leave the process, so that neither a bucket nor a plan's file holds anything that
// can be read. The zero Encryption leaves them as they are.
type Encryption struct {
	// AWSKey is the ARN of a KMS key, GCPKey the resource name of one. The key stays
	// in the cloud: whoever may use it may read the state.
	AWSKey, GCPKey string
	// Passphrase takes the place of a key. It is at least MinPassphrase long.
	Passphrase string
	// Migrating reads states too that are not encrypted yet.
	Migrating bool
}

// MinPassphrase is the fewest characters that OpenTofu takes as a passphrase.
const MinPassphrase = 16

// None reports whether nothing is encrypted.
func (e Encryption) None() bool { return e.AWSKey == "" && e.GCPKey == "" && e.Passphrase == "" }

// Variable returns the variable of the environment that tells OpenTofu, or nothing
// where nothing is encrypted. It is no part of a root, because it may hold a
// passphrase. The format is that of OpenTofu's TF_ENCRYPTION. The error says what is
// wrong with the key.
func (e Encryption) Variable() ([]string, error) {
	if e.None() {
		return nil, nil
	}
	kind, settings, err := e.provider()
	if err != nil {
		return nil, err
	}
	use := map[string]any{"method": "method.aes_gcm.state", "enforced": true}
	methods := map[string]any{"aes_gcm": map[string]any{"state": map[string]any{"keys": "${key_provider." + kind + ".state}"}}}
	state := use
	if e.Migrating {
		methods["unencrypted"] = map[string]any{"before": map[string]any{}}
		state = map[string]any{"method": use["method"], "fallback": map[string]any{"method": "method.unencrypted.before"}}
	}
	b, err := json.Marshal(map[string]any{
		"key_provider": map[string]any{kind: map[string]any{"state": settings}},
		"method":       methods, "state": state, "plan": use,
	})
	if err != nil {
		return nil, err
	}
	return []string{"TF_ENCRYPTION=" + string(b)}, nil
}

func (e Encryption) provider() (kind string, settings map[string]any, err error) {
	switch {
	case e.AWSKey != "":
		part := strings.Split(e.AWSKey, ":")
		if len(part) != 6 || part[2] != "kms" {
			return "", nil, fmt.Errorf("%q is no ARN of a KMS key", e.AWSKey)
		}
		return "aws_kms", map[string]any{"kms_key_id": e.AWSKey, "region": part[3], "key_spec": "AES_256"}, nil
	case e.GCPKey != "":
		return "gcp_kms", map[string]any{"kms_encryption_key": e.GCPKey, "key_length": 32}, nil
	case len(e.Passphrase) < MinPassphrase:
		return "", nil, errors.New("the passphrase of the state is too short: it needs 16 characters")
	}
	return "pbkdf2", map[string]any{"passphrase": e.Passphrase}, nil
}
