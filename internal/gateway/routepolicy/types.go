// Package routepolicy is the kind RoutePolicy (gateway.strata.dev/v1alpha1), which an HTTPRoute
// or GRPCRoute refers to by an ExtensionRef filter for what the Gateway API has no place for:
// limits and bearer tokens. Here are its Go types; its definition for the API server is in
// package definitions. What a gateway does about it is the business of translate and
// internal/proxy/gateway.
package routepolicy

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Group, Version, Kind and Resource name the kind.
const (
	Group    = "gateway.strata.dev"
	Version  = "v1alpha1"
	Kind     = "RoutePolicy"
	Resource = "routepolicies"
)

// RoutePolicy limits requests and asks for tokens.
type RoutePolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              Spec `json:"spec"`
}

// DeepCopyObject returns a copy that shares nothing with the original.
func (in *RoutePolicy) DeepCopyObject() runtime.Object {
	if in == nil {
		return nil
	}
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	if r := in.Spec.RateLimit; r != nil {
		c := *r
		out.Spec.RateLimit = &c
	}
	if t := in.Spec.Token; t != nil {
		c := *t
		c.Audiences = slices.Clone(t.Audiences)
		if r := t.CACertificateRef; r != nil {
			ref := *r
			c.CACertificateRef = &ref
		}
		out.Spec.Token = &c
	}
	return &out
}

// Spec has at least one field set.
type Spec struct {
	// RateLimit bounds how often a client may ask.
	RateLimit *RateLimit `json:"rateLimit,omitempty"`
	// MaxRequestBytes is how large a request's body may be; 0: as the gateway is set.
	MaxRequestBytes int64 `json:"maxRequestBytes,omitempty"`
	// Token asks for a JSON Web Token in the Authorization header.
	Token *Token `json:"token,omitempty"`
}

// RateLimit holds for each client address.
type RateLimit struct {
	RequestsPerSecond int32 `json:"requestsPerSecond"`
	// Burst is how many may come at once; 0: as many as RequestsPerSecond.
	Burst int32 `json:"burst,omitempty"`
}

// Token says whose tokens are accepted.
type Token struct {
	// Issuer is an OpenID Connect issuer, whose discovery document says where its keys are.
	Issuer string `json:"issuer"`
	// Audiences are those of which a token must have one; none: any.
	Audiences []string `json:"audiences,omitempty"`
	// CACertificateRef names a ConfigMap beside the policy with certificates, under
	// "ca.crt", of which the issuer's has to be; nil: those of the system.
	CACertificateRef *Reference `json:"caCertificateRef,omitempty"`
}

// Reference names an object in the policy's namespace.
type Reference struct {
	Name string `json:"name"`
}
