package config

// Gateway is everything that a gateway serves: the Gateway API's objects, resolved. All
// that can be decided beforehand is: routes are in the order in which they are tried, and
// addresses of backends, not names. The zero value serves nothing.
type Gateway struct {
	// Version changes with the content.
	Version string `json:"version"`
	// TrustDomain is that of the gateway and of the sidecars behind it.
	TrustDomain string `json:"trustDomain"`
	// Ports are where it listens, by number.
	Ports []Port `json:"ports,omitempty"`
	// Backends are what routes lead to, by Backend.Name.
	Backends []Backend `json:"backends,omitempty"`
	// Providers are the issuers of JSON Web Tokens that routes may ask for.
	Providers []TokenProvider `json:"providers,omitempty"`
	// Limits are for routes without their own; nil: what the gateway has built in.
	Limits *Limits `json:"limits,omitempty"`
}

// Port is a TCP port with the listeners that share it.
type Port struct {
	// Listen is the port to listen on; Public is the one that clients see, for redirects.
	Listen int `json:"listen"`
	Public int `json:"public"`
	// TLS says that connections begin with TLS, which is terminated here.
	TLS bool `json:"tls,omitempty"`
	// Clients says that clients have to show certificates; nil: they need none.
	Clients   *ClientTLS `json:"clients,omitempty"`
	Listeners []Listener `json:"listeners"`
}

// ClientTLS is how clients' certificates are verified (GEP-91).
type ClientTLS struct {
	// CAs are certificates in PEM. Where they hold none, no client's certificate is valid.
	CAs string `json:"cas"`
	// Optional lets in clients without a certificate, or with one that is not valid.
	Optional bool `json:"optional,omitempty"`
}

// Listener is a listener of the Gateway API: one of those that share a port. A request
// belongs to the listener with the most specific hostname that matches it, and to no other
// one, even if that one has no route for it (GatewayHTTPListenerIsolation).
type Listener struct {
	Name string `json:"name"`
	// Hostname is a name, a wildcard such as "*.example.com", or empty for all names.
	Hostname string `json:"hostname,omitempty"`
	// Certificates are for Hostname; the first that matches a client's server name is
	// used, else the first.
	Certificates []Certificate `json:"certificates,omitempty"`
	// Hosts are the names that routes are for, the most specific first. A request is tried
	// with the routes of each host that matches, in order, until one matches.
	Hosts []Host `json:"hosts,omitempty"`
}

// Certificate is a key and its chain, both in PEM.
type Certificate struct {
	Chain string `json:"chain"`
	Key   string `json:"key"`
}

// Host is a name with its routes.
type Host struct {
	// Hostname is as in Listener.
	Hostname string `json:"hostname,omitempty"`
	// Routes are tried in this order; the first that matches is taken.
	Routes []Route `json:"routes"`
}

// Route is one match of a rule of an HTTPRoute or a GRPCRoute.
type Route struct {
	// Name is "namespace/name" of the object, for logs and metrics.
	Name  string `json:"name"`
	Match Match  `json:"match"`
	// Filters of the rule, in order.
	Filters []Filter `json:"filters,omitempty"`
	// Targets share the requests by weight. With none, or when the chosen one is not
	// valid, requests get 500, unless a filter has answered; when its backend has no
	// endpoints they get 503.
	Targets []Target `json:"targets,omitempty"`
	// RequestTimeout bounds the whole request, BackendTimeout each try; 0 means no limit.
	RequestTimeout Duration `json:"requestTimeout,omitempty"`
	BackendTimeout Duration `json:"backendTimeout,omitempty"`
	Retry          *Retry   `json:"retry,omitempty"`
	// GRPC says that answers which the gateway makes itself are gRPC's.
	GRPC bool `json:"grpc,omitempty"`
	// Limits of this route; nil for the gateway's own.
	Limits *Limits `json:"limits,omitempty"`
	// Token asks for a JSON Web Token.
	Token *TokenRule `json:"token,omitempty"`
}

// Match is what a request has to be. Empty fields match everything.
type Match struct {
	Path    *PathMatch   `json:"path,omitempty"`
	Method  string       `json:"method,omitempty"`
	Headers []ValueMatch `json:"headers,omitempty"`
	Query   []ValueMatch `json:"query,omitempty"`
}

// Kinds of matches, as the Gateway API names them.
const (
	MatchExact  = "Exact"
	MatchPrefix = "PathPrefix"
	MatchRegexp = "RegularExpression"
)

// PathMatch matches the path: as a whole, by prefix in whole segments, or by RE2, which
// has to match the whole path. The path is the one that the gateway has normalised, without
// percent encoding (docs/gateway.md); values other than regular expressions are in percent
// encoding, as in URLs.
type PathMatch struct {
	Kind  string `json:"kind"`
	Value string `json:"value"`
}

// ValueMatch matches a header (of any case) or the first value of a query parameter. A
// regular expression has to match the whole value.
type ValueMatch struct {
	Kind  string `json:"kind"` // MatchExact or MatchRegexp
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Filter is one thing to do with a request or its response: one field is set.
type Filter struct {
	RequestHeaders  *HeaderChange `json:"requestHeaders,omitempty"`
	ResponseHeaders *HeaderChange `json:"responseHeaders,omitempty"`
	Redirect        *Redirect     `json:"redirect,omitempty"`
	Rewrite         *Rewrite      `json:"rewrite,omitempty"`
	Mirror          *Mirror       `json:"mirror,omitempty"`
	CORS            *CORS         `json:"cors,omitempty"`
}

// Header is a name and a value.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// HeaderChange sets, adds and removes headers, in this order.
type HeaderChange struct {
	Set    []Header `json:"set,omitempty"`
	Add    []Header `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

// PathChange replaces the whole path, or the prefix that the route matched.
type PathChange struct {
	Full   *string `json:"full,omitempty"`
	Prefix *string `json:"prefix,omitempty"`
}

// Redirect answers with another URL. Empty fields keep the request's.
type Redirect struct {
	Scheme   string      `json:"scheme,omitempty"`
	Hostname string      `json:"hostname,omitempty"`
	Port     int         `json:"port,omitempty"`
	Path     *PathChange `json:"path,omitempty"`
	Status   int         `json:"status"`
}

// Rewrite changes what the backend is asked for.
type Rewrite struct {
	Hostname string      `json:"hostname,omitempty"`
	Path     *PathChange `json:"path,omitempty"`
}

// Mirror sends a copy of some requests to another backend, whose answer is dropped:
// Numerator of Denominator.
type Mirror struct {
	Backend     string `json:"backend"`
	Numerator   int    `json:"numerator"`
	Denominator int    `json:"denominator"`
}

// CORS answers preflight requests and adds headers, after the Fetch standard.
type CORS struct {
	AllowOrigins     []string `json:"allowOrigins,omitempty"`
	AllowMethods     []string `json:"allowMethods,omitempty"`
	AllowHeaders     []string `json:"allowHeaders,omitempty"`
	ExposeHeaders    []string `json:"exposeHeaders,omitempty"`
	AllowCredentials bool     `json:"allowCredentials,omitempty"`
	MaxAge           int      `json:"maxAge,omitempty"` // seconds
}

// Target is a backend with its share.
type Target struct {
	// Backend names one of Gateway.Backends; empty: the reference is not valid.
	Backend string   `json:"backend,omitempty"`
	Weight  int      `json:"weight"`
	Filters []Filter `json:"filters,omitempty"`
}

// Retry says when a request is sent again: after one of Codes, and when no answer came.
type Retry struct {
	Codes    []int    `json:"codes,omitempty"`
	Attempts int      `json:"attempts"` // tries after the first
	Backoff  Duration `json:"backoff,omitempty"`
}

// Limits of a route.
type Limits struct {
	// RequestsPerSecond and Burst hold for each client address; 0 means no limit.
	RequestsPerSecond float64 `json:"requestsPerSecond,omitempty"`
	Burst             int     `json:"burst,omitempty"`
	// BodyBytes is how large a request's body may be; 0 means the gateway's own limit.
	BodyBytes int64 `json:"bodyBytes,omitempty"`
}

// TokenProvider is an OpenID Connect issuer.
type TokenProvider struct {
	Name   string `json:"name"`
	Issuer string `json:"issuer"`
	// KeysURL is where its keys are; empty: as its discovery document says.
	KeysURL string `json:"keysURL,omitempty"`
	// CAs are certificates in PEM that the issuer's has to be of; empty: those of the
	// system.
	CAs string `json:"cas,omitempty"`
}

// TokenRule is what a bearer token has to be.
type TokenRule struct {
	Provider  string   `json:"provider"`
	Audiences []string `json:"audiences,omitempty"`
}

// Backend is a port of a Service.
type Backend struct {
	// Name is "namespace/name:port", with what else tells backends of a port apart behind it.
	Name      string     `json:"name"`
	Endpoints []Endpoint `json:"endpoints,omitempty"`
	// Identity is the SPIFFE ID of the sidecars at the endpoints; empty: plain text, for
	// backends that are not in the mesh.
	Identity string `json:"identity,omitempty"`
	// Protocol is "" (HTTP/1.1, or what mutual TLS agrees on), "h2c" or "ws".
	Protocol string `json:"protocol,omitempty"`
	// TLS is how to reach a backend that terminates TLS itself (BackendTLSPolicy).
	TLS *BackendTLS `json:"tls,omitempty"`
}

// Endpoint is a ready pod.
type Endpoint struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
}

// BackendTLS is how a backend's certificate is verified.
type BackendTLS struct {
	// Hostname is for SNI and, without SANs, what the certificate must be for.
	Hostname string `json:"hostname"`
	// CAs are certificates in PEM; empty: those of the system.
	CAs string `json:"cas,omitempty"`
	// SANs are names, one of which the certificate must be for: DNS names, and URIs, which
	// have a ":" in them.
	SANs []string `json:"sans,omitempty"`
	// Client is the gateway's own certificate, for backends that ask for one.
	Client *Certificate `json:"client,omitempty"`
}
