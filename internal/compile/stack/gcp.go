package stack

import (
	"maps"
	"slices"
	"strings"
)

// gcp renders roots for Google Cloud.
type gcp struct{}

func (gcp) requirement() requirement {
	return requirement{"google", "hashicorp/google", ">= 6, < 8"}
}

func (gcp) cluster(*scope) object { return nil }

func (gcp) moduleInputs(*scope) object { return nil }

func (gcp) provider(s *scope) object {
	p := object{
		"region":                          escape(s.Region),
		"default_labels":                  labels(s.tags()),
		"add_terraform_attribution_label": false,
	}
	if s.isAccount() {
		return p
	}
	p["project"] = s.accountID()
	if role := s.role(); role != "" {
		p["impersonate_service_account"] = role
	}
	return p
}

// labels turns tags into what Google Cloud accepts as labels: lower-case letters,
// digits, '_' and '-', at most 63, keys beginning with a letter.
func labels(tags map[string]string) object {
	out := make(object, len(tags))
	// Two keys can become one. Those that are labels already come last and
	// win, so that "Platform" of a user never replaces our "platform".
	for _, change := range []bool{true, false} {
		for _, k := range slices.Sorted(maps.Keys(tags)) {
			l := label(k)
			if l == "" || l[0] < 'a' || l[0] > 'z' {
				l = label("x" + k)
			}
			if (l != k) == change {
				out[l] = label(tags[k])
			}
		}
	}
	return out
}

func label(s string) string {
	s = strings.Map(func(ch rune) rune {
		switch {
		case ch >= 'a' && ch <= 'z', ch >= '0' && ch <= '9', ch == '_', ch == '-':
			return ch
		case ch >= 'A' && ch <= 'Z':
			return ch + 'a' - 'A'
		}
		return '-'
	}, s)
	return s[:min(len(s), 63)]
}

// gcsBackend locks with the bucket's own preconditions.
func gcsBackend(s *scope, key string) object {
	b := object{"bucket": escape(s.State.Bucket), "prefix": escape(key)}
	if s.State.KMSKey != "" {
		b["kms_encryption_key"] = escape(s.State.KMSKey)
	}
	if s.RoleRef == nil && s.Role != "" && !s.isAccount() {
		b["impersonate_service_account"] = escape(s.Role)
	}
	return b
}
