package compile

import (
	"maps"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/addr"
)

// SecretPath is where a secret that people give lies in the central secrets service.
func (c *Compiled) SecretPath(key string) string { return c.secretPath(key) }

// SecretKey is the key of a path; a path outside of the environment's prefix is one by
// itself.
func (c *Compiled) SecretKey(path string) string {
	return strings.TrimPrefix(path, c.secretPrefix()+"/")
}

// SecretMaker returns the unit that makes the secret of a path; false where people give
// it.
func (c *Compiled) SecretMaker(path string) (addr.Unit, bool) {
	key, ours := strings.CutPrefix(path, c.secretPrefix()+"/")
	if !ours {
		return addr.Unit{}, false
	}
	// The secrets of a unit lie below its name.
	for i := strings.LastIndexByte(key, '/'); i > 0; i = strings.LastIndexByte(key[:i], '/') {
		if u, ok := c.unit(addr.Unit{Env: c.env.Metadata.Name, Name: key[:i]}); ok && !u.Existing {
			return u.Addr, true
		}
	}
	if strings.HasPrefix(key, "platform/") {
		// Such as the key of the environment's certificate authority.
		return addr.Platform(c.env.Metadata.Name, "secrets"), true
	}
	return addr.Unit{}, false
}

// SecretsGiven returns the secrets that workloads ask for and that people are to give:
// the names of the workloads, sorted, by path.
func (c *Compiled) SecretsGiven() map[string][]string {
	out := map[string][]string{}
	for _, a := range slices.SortedFunc(maps.Keys(c.workloads), addr.Unit.Compare) {
		w := c.workloads[a]
		for _, o := range w.Outputs {
			if _, made := c.SecretMaker(o.SecretPath); !o.Secret || o.SecretPath == "" || made {
				continue
			}
			if !slices.Contains(out[o.SecretPath], w.Name) {
				out[o.SecretPath] = append(out[o.SecretPath], w.Name)
			}
		}
	}
	return out
}
