package gateway

import (
	"net"
	"strings"
)

// names finds what belongs to a host name: the exact name first, then wildcards, the
// longest first, then what is for all names.
type names[T any] map[string]T

// each calls yield with what belongs to host, the most specific first, until it returns
// false. A wildcard "*.example.com" stands for any number of labels, but not for none.
func (n names[T]) each(host string, yield func(T) bool) {
	if v, ok := n[host]; ok && host != "" && !yield(v) {
		return
	}
	for rest := host; rest != ""; {
		i := strings.IndexByte(rest, '.')
		if i < 0 {
			break
		}
		if v, ok := n["*"+rest[i:]]; ok && !yield(v) {
			return
		}
		rest = rest[i+1:]
	}
	if v, ok := n[""]; ok {
		yield(v)
	}
}

// best returns the most specific of what belongs to host.
func (n names[T]) best(host string) (found T, ok bool) {
	n.each(host, func(v T) bool {
		found, ok = v, true
		return false
	})
	return found, ok
}

// hostname returns the name in a Host header, or a server name of TLS, as names know it:
// without port, in lower case, without a dot at its end.
func hostname(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
