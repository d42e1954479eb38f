package translate

import (
	"cmp"
	"strings"
)

// below reports whether a wildcard, such as "*.example.com", is for a name, which may be a
// wildcard itself.
func below(name, wildcard string) bool {
	suffix, ok := strings.CutPrefix(wildcard, "*")
	return ok && name != wildcard && strings.HasSuffix(name, suffix) && len(name) > len(suffix)
}

// intersect returns the name that two hostnames have in common; empty ones stand for all
// names.
func intersect(a, b string) (string, bool) {
	switch {
	case a == b, b == "", below(a, b):
		return a, true
	case a == "", below(b, a):
		return b, true
	}
	return "", false
}

// weight is how specific a hostname is: the characters of one without wildcard count
// before those of any.
func weight(hostname string) (exact, all int) {
	if !strings.HasPrefix(hostname, "*") {
		exact = len(hostname)
	}
	return exact, len(hostname)
}

// bySpecificity compares hostnames: the most specific one first.
func bySpecificity(a, b string) int {
	ae, aa := weight(a)
	be, ba := weight(b)
	return cmp.Or(cmp.Compare(be, ae), cmp.Compare(ba, aa), strings.Compare(a, b))
}
