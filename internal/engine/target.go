package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/compile"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/plan"
)

// Target is an environment as it is planned and applied: what the repository says
// of it, and where its state is.
type Target struct {
	Check    *check.Result
	Compiled *compile.Compiled
	// Modules has the digest of the content of each module, by module.
	Modules map[string]string
	// StateFile says in which file the state of a unit is kept, as an absolute
	// path; nil leaves it to the environment's backend.
	StateFile func(addr.Unit) string
	// Scratch is where state is planned against while the environment's own
	// backend does not exist yet: a file that is never there.
	Scratch string
	// Offline targets are played by stand-ins.
	Offline bool
}

// Digests returns the digests of what the target is made of; those of findings
// are not among them.
func (t *Target) Digests() (plan.Digests, error) {
	modelSum, err := digest(t.Check.Model.Platform, t.Compiled.Environment(), t.Compiled.Graph.Digest())
	if err != nil {
		return plan.Digests{}, err
	}
	modules, err := digest(t.Modules)
	if err != nil {
		return plan.Digests{}, err
	}
	text, err := t.Check.Policy.Digest()
	if err != nil {
		return plan.Digests{}, err
	}
	rules, err := digest(text, t.Check.Model.Exceptions)
	if err != nil {
		return plan.Digests{}, err
	}
	return plan.Digests{Model: modelSum, Modules: modules, Policy: rules}, nil
}

// UnitDigest is the digest that goes on record of a unit that is applied: it covers all
// that the unit is rendered from, its module included.
func (t *Target) UnitDigest(u graph.Unit) string {
	sum := sha256.Sum256([]byte(u.Digest + "\n" + t.Modules[u.Module]))
	return hex.EncodeToString(sum[:])
}

// requirement is what the environment asks of a plan.
func (t *Target) requirement() plan.Requirement {
	if a := t.environment().Spec.Approvals; a != nil {
		return plan.Requirement{Required: a.Required, Groups: a.Groups, NotAuthor: a.NotAuthor}
	}
	return plan.Requirement{}
}

func (t *Target) environment() *model.Environment { return t.Compiled.Environment() }

// digest is the SHA-256 of the JSON of values, in hexadecimal.
func digest(values ...any) (string, error) {
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, v := range values {
		if err := enc.Encode(v); err != nil {
			return "", fmt.Errorf("digest: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
