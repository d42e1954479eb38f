package schema

import (
	"regexp"
	"unicode/utf8"
)

// Pattern is a named form of string.
type Pattern struct {
	// Expr is an ECMA 262 regular expression that Go's regexp reads too.
	Expr string
	// Says completes the sentence "must be ...".
	Says string
	// MinLength and MaxLength bound the number of characters where Expr cannot;
	// 0 means no bound.
	MinLength, MaxLength int
	re                   *regexp.Regexp
}

// Match reports whether s has the form.
func (p *Pattern) Match(s string) bool {
	if p.MinLength > 0 || p.MaxLength > 0 {
		n := utf8.RuneCountInString(s)
		if n < p.MinLength || p.MaxLength > 0 && n > p.MaxLength {
			return false
		}
	}
	return p.re.MatchString(s)
}

// Patterns are the forms that `rule` tags may name. Those that begin with
// "score-" are the patterns of the Score v1b1 JSON Schema.
var Patterns = map[string]*Pattern{
	"dns-label":        pattern(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`, "a DNS label: lower-case letters, digits and '-', at most 63"),
	"dns-name":         pattern(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`, "a DNS name such as acme.example").length(1, 253),
	"registry":         pattern(`^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*$`, "a registry and path such as registry.acme.example/apps"),
	"ssh-key":          pattern(`^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com) [A-Za-z0-9+/]+={0,3}( .*)?$`, "an SSH public key such as \"ssh-ed25519 AAAA...\""),
	"quantity":         pattern(`^([0-9]+(\.[0-9]+)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$`, "a Kubernetes quantity such as 500m or 64Gi"),
	"https-url":        pattern(`^https://[^\s/?#]+[^\s]*$`, "an https URL"),
	"http-url":         pattern(`^https?://[^\s/?#]+[^\s]*$`, "an http or https URL"),
	"email":            pattern(`^[^\s@]+@[^\s@]+$`, "an e-mail address"),
	"account-id":       pattern(`^[A-Za-z0-9][A-Za-z0-9.:-]{3,62}[A-Za-z0-9]$`, "an account, project or subscription id"),
	"bucket":           pattern(`^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$`, "a bucket name: 3 to 63 lower-case letters, digits, '-', '.' and '_'"),
	"key-prefix":       pattern(`^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$`, "a relative key such as acme/state"),
	"cidr":             pattern(`^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$`, "an IPv4 range such as 10.30.0.0/16"),
	"kubernetes-minor": pattern(`^1\.[0-9]{1,2}$`, "a Kubernetes minor version such as \"1.35\""),
	"image-ref":        pattern(`^[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9._-]+)+(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?@sha256:[0-9a-f]{64}$`, "an image with its digest: registry/name@sha256:<64 hexadecimal digits>"),
	"date":             pattern(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`, "a date as YYYY-MM-DD"),
	"file-mode":        pattern(`^0?[0-7]{3}$`, "an octal mode such as \"0444\""),
	"http-header":      pattern(`^[A-Za-z0-9_-]+$`, "a header name of letters, digits, '_' and '-'"),
	"score-name":       pattern(`^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$`, "2 to 63 lower-case letters, digits and '-', not at the ends"),
	"score-type":       pattern(`^[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9]$`, "2 to 63 letters, digits and '-', not at the ends"),
	"score-id":         pattern(`^(?:[a-z0-9]+(?:-+[a-z0-9]+)*(?:\.[a-z0-9]+(?:-+[a-z0-9]+)*)*)$`, "2 to 63 lower-case letters and digits, joined by '-' or '.'").length(2, 63),
	"score-annotation": pattern(`^(([a-z0-9][a-z0-9-]{0,61}[a-z0-9])(\.[a-z0-9][a-z0-9-]{0,61}[a-z0-9])*/)?[A-Za-z0-9][A-Za-z0-9._-]{0,61}[A-Za-z0-9]$`, "an annotation key such as example.com/name").length(2, 316),
	"score-variable":   pattern(`^[^=]+$`, "a name without '='"),
	"score-cpu":        pattern(`^\d+(?:m|\.\d+)?$`, "an amount of CPU such as 0.5 or 500m"),
	"score-memory":     pattern(`^(0\.\d+|[1-9]\d*(\.\d+)?)(K|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$`, "an amount of memory such as 256Mi"),
}

func pattern(expr, says string) *Pattern {
	return &Pattern{Expr: expr, Says: says, re: regexp.MustCompile(expr)}
}

func (p *Pattern) length(fewest, most int) *Pattern {
	p.MinLength, p.MaxLength = fewest, most
	return p
}
