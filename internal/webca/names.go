package webca

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxNames bounds the names of a certificate: a handshake that carries many more is more
// than some clients take.
const maxNames = 300

// refusal is a host that is left out of a certificate, and why.
type refusal struct{ host, why string }

// names returns the names of a certificate for a domain and hosts, in order, and the hosts
// that are left out. Hosts that the domain's wildcard is for need no name of their own.
func names(domain string, hosts, permitted []string) ([]string, []refusal) {
	out := []string{domain}
	wild := strings.Contains(domain, ".")
	if wild {
		// Clients take no wildcard directly below the root of names.
		out = append(out, "*."+domain)
	}
	var left []refusal
	for _, h := range slices.Compact(slices.Sorted(slices.Values(hosts))) {
		switch {
		case slices.Contains(out, h) || wild && below(h, domain):
		case !slices.ContainsFunc(permitted, func(d string) bool { return inside(h, d) }):
			left = append(left, refusal{h, "it is not inside of " + strings.Join(permitted, " or ")})
		case len(out) >= maxNames:
			left = append(left, refusal{h, fmt.Sprintf("the certificate has %d names already", maxNames)})
		default:
			out = append(out, h)
		}
	}
	slices.SortFunc(out[1:], func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	})
	return out, left
}

// below reports whether a wildcard of a domain is for a name: for one label it is.
func below(name, domain string) bool {
	label, ok := strings.CutSuffix(name, "."+domain)
	return ok && label != "*" && !strings.Contains(label, ".")
}
