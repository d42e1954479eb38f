package config

// What the control plane keeps in the cluster.
const (
	// ControlLease is the Lease in ControlNamespace that its replicas elect a leader with.
	ControlLease = "strata-control"
	// IdentityStatus is the ConfigMap in ControlNamespace with the state of the
	// authorities of workloads: no keys, and nothing that anything depends on.
	IdentityStatus = "strata-identity"
	// IdentityStatusKey is the key of IdentityStatus that holds the state, as JSON.
	IdentityStatusKey = "status.json"
	// RotateAnnotation of IdentityStatus asks for a new authority: its value is any text
	// that differs from the last one; by custom the time.
	RotateAnnotation = "strata.dev/rotate"
	// WithdrawAnnotation of IdentityStatus names an authority that signs no more, and asks
	// that nobody trusts it from now on, though its certificates still hold. What follows
	// after a space tells a request from the last one; by custom the time.
	WithdrawAnnotation = "strata.dev/withdraw"
)

// RootsPath is the path in the environment's own secret store (cluster.SecretName) of
// the authorities of workloads with their keys.
func RootsPath(platform, environment string) string {
	return platform + "/" + environment + "/platform/workload-roots"
}

// What the control plane's authority for Gateways' certificates (internal/webca) is told,
// and what it keeps in the cluster.
const (
	// IssuerAnnotation of a Gateway says who issues its certificates, that of a Secret who
	// has. IssuerPlatform is the platform's own authority.
	IssuerAnnotation = "strata.dev/issuer"
	IssuerPlatform   = "platform-ca"
	// DomainAnnotation of such a Gateway is the domain that its certificate is for, with
	// all names directly below it.
	DomainAnnotation = "strata.dev/domain"
	// WebAuthorities is the ConfigMap beside the Gateways with what people have to trust:
	// WebAuthoritiesKey holds certificates in PEM, WebStatusKey says as JSON how they and
	// the Gateways' certificates are.
	WebAuthorities    = "strata-platform-ca"
	WebAuthoritiesKey = "ca.crt"
	WebStatusKey      = "status.json"
)

// WebRootsPath is the path in the environment's own secret store (cluster.SecretName) of
// the authorities of Gateways' certificates with their keys.
func WebRootsPath(platform, environment string) string {
	return platform + "/" + environment + "/platform/web-roots"
}
