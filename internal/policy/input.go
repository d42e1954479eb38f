package policy

import (
	"github.com/stratahq/strata/internal/model"
)

// Environment is what rules about objects and plans see of an environment, as
// input.strata.environment.
type Environment struct {
	Name      string `json:"name"`
	Cloud     string `json:"cloud"`
	Region    string `json:"region,omitempty"`
	Protected bool   `json:"protected"`
	// TLS says who issues certificates for routes: acme, platform-ca or disabled.
	TLS string `json:"tls,omitempty"`
	// Domain is the domain of public routes.
	Domain string `json:"domain,omitempty"`
}

// EnvironmentOf takes from an environment what rules see of it.
func EnvironmentOf(e *model.Environment) Environment {
	out := Environment{Name: e.Metadata.Name, Cloud: e.Spec.Cloud, Region: e.Spec.Region, Protected: e.Spec.Protected}
	if e.Spec.Ingress != nil {
		out.TLS, out.Domain = e.TLS(), e.Spec.Ingress.Domain
	}
	return out
}

// document is an input: a value, with what Strata adds to it under "strata".
type document struct {
	value any
	facts any // nil: nothing is added
}

// project writes the part of the input that s names.
func (d document) project(b []byte, s *shape) ([]byte, error) {
	b, err := project(b, d.value, s)
	if err != nil || d.facts == nil {
		return b, err
	}
	c := s.child("strata")
	if c == nil {
		return b, nil
	}
	if n := len(b) - 1; n > 0 && b[n] == '}' {
		if b = b[:n]; b[n-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, `"strata":`...)
		if b, err = project(b, d.facts, c); err != nil {
			return nil, err
		}
		b = append(b, '}')
	}
	return b, nil
}
