package compile

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/catalog"
)

// maxResourceName is the longest name that every cloud accepts for what our
// modules create: ElastiCache allows 40 characters, and modules append to it.
const maxResourceName = 32

// ResourceName is the name that a unit's cloud resources have: platform,
// environment and unit joined by '-', at most 32 characters. A longer one is
// cut and made unique again by a digest of the whole address.
func ResourceName(platform string, u addr.Unit) string {
	name := u.Name
	for _, family := range []string{"workloads/", "platform/", "shared/"} {
		name = strings.TrimPrefix(name, family)
	}
	full := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return unicode.ToLower(r)
		}
		return '-'
	}, platform+"-"+u.Env+"-"+name)
	if len(full) <= maxResourceName {
		return full
	}
	sum := sha256.Sum256([]byte(platform + "/" + u.String()))
	digest := hex.EncodeToString(sum[:4])
	return strings.TrimRight(full[:maxResourceName-len(digest)-1], "-") + "-" + digest
}

// snakeKeys renames the keys of lists of objects, whose fields are attributes
// of the module's variable. The keys of a plain map are data and stay.
func snakeKeys(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	out := make([]any, len(list))
	for i, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			out[i] = e
			continue
		}
		renamed := make(map[string]any, len(m))
		for k, x := range m {
			renamed[catalog.VariableName("", k)] = x
		}
		out[i] = renamed
	}
	return out
}
