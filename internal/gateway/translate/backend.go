package translate

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/proxy/config"
)

// Protocols of backends, as config.Backend names them.
const (
	protocolH2C       = "h2c"
	protocolWebSocket = "ws"
)

// backendID is what tells backends apart.
type backendID struct {
	service Key
	port    int32
	// grpc is set where a GRPCRoute leads to a port that says nothing of its protocol.
	grpc bool
}

func (id backendID) name() string {
	n := id.service.String() + ":" + strconv.Itoa(int(id.port))
	if id.grpc {
		n += ":grpc"
	}
	return n
}

// Reasons of ours, beside those of the Gateway API.
const (
	// reasonInvalidIdentity: the identity that a Service names is not one of its namespace.
	reasonInvalidIdentity = "InvalidIdentity"
	// reasonInvalidTLSPolicy: a BackendTLSPolicy for the Service cannot be met.
	reasonInvalidTLSPolicy = "InvalidBackendTLSPolicy"
	// reasonInvalidPolicy: a RoutePolicy cannot be met.
	reasonInvalidPolicy = "InvalidRoutePolicy"
)

// backend resolves a route's reference to a backend. With a bad verdict there is none.
func (x *index) backend(r *route, ref gwv1.BackendObjectReference) (backendID, verdict) {
	var id backendID
	if group, kind := or(ref.Group, ""), or(ref.Kind, "Service"); group != "" || kind != "Service" {
		return id, problem(gwv1.RouteReasonInvalidKind, fmt.Sprintf("backends of kind %s are not supported: Services are", kindName(string(group), string(kind))))
	}
	id.service = Key{Namespace: string(or(ref.Namespace, gwv1.Namespace(r.key.Namespace))), Name: string(ref.Name)}
	if !x.permitted(reference{gwv1.GroupName, r.kind, r.key.Namespace, "", "Service", id.service}) {
		return id, problem(gwv1.RouteReasonRefNotPermitted, fmt.Sprintf("no ReferenceGrant in namespace %s lets objects of kind %s of namespace %s refer to Service %s", id.service.Namespace, r.kind, r.key.Namespace, id.service.Name))
	}
	svc, ok := x.services[id.service]
	if !ok {
		return id, problem(gwv1.RouteReasonBackendNotFound, fmt.Sprintf("there is no Service %s", id.service))
	}
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		// It would make the gateway ask any address for whoever may write Services.
		return id, problem(gwv1.RouteReasonUnsupportedProtocol, fmt.Sprintf("Service %s is of type ExternalName, which is not supported", id.service))
	}
	id.port = or(ref.Port, 0)
	port := servicePort(svc, id.port)
	if port == nil {
		return id, problem(gwv1.RouteReasonBackendNotFound, fmt.Sprintf("Service %s has no TCP port %d", id.service, id.port))
	}
	return id, x.reach(r, &id, svc, port)
}

func servicePort(svc *corev1.Service, number int32) *corev1.ServicePort {
	i := slices.IndexFunc(svc.Spec.Ports, func(p corev1.ServicePort) bool {
		return p.Port == number && cmp.Or(p.Protocol, corev1.ProtocolTCP) == corev1.ProtocolTCP
	})
	if i < 0 {
		return nil
	}
	return &svc.Spec.Ports[i]
}

// reach makes the backend, unless it is made, and says why it cannot be reached.
func (x *index) reach(r *route, id *backendID, svc *corev1.Service, port *corev1.ServicePort) verdict {
	policy := x.tlsPolicy(id.service, port.Name)
	protocol, ok := protocolOf(port.AppProtocol, policy != nil)
	identity := svc.Annotations[config.IdentityAnnotation]
	// Both ends of TLS agree on HTTP/2; without it, it has to be known.
	plain := policy == nil && identity == ""
	id.grpc = r.kind == kindGRPCRoute && plain && or(port.AppProtocol, "") == ""
	if id.grpc {
		protocol = protocolH2C
	}
	if !ok || r.kind == kindGRPCRoute && plain && protocol != protocolH2C {
		return problem(gwv1.RouteReasonUnsupportedProtocol, fmt.Sprintf("Service %s has appProtocol %s for port %d, which a route of kind %s cannot use", id.service, or(port.AppProtocol, ""), id.port, r.kind))
	}
	// Whoever may write a Service speaks for the accounts of its namespace only.
	if prefix := config.ID(x.TrustDomain, svc.Namespace, ""); identity != "" && (!strings.HasPrefix(identity, prefix) || identity == prefix || strings.Contains(identity[len(prefix):], "/")) {
		return problem(gwv1.RouteConditionReason(reasonInvalidIdentity), fmt.Sprintf("Service %s names the identity %q, which is not one of its namespace: %s...", id.service, identity, prefix))
	}
	if policy != nil && policy.refs.bad {
		return problem(gwv1.RouteConditionReason(reasonInvalidTLSPolicy), fmt.Sprintf("BackendTLSPolicy %s for Service %s is not valid: %s", policy.key, id.service, policy.refs.message))
	}
	if _, made := x.backends[*id]; made {
		return verdict{}
	}
	b := config.Backend{Name: id.name(), Endpoints: x.endpoints(id.service, port), Identity: identity, Protocol: protocol}
	if policy != nil {
		b.TLS, b.Identity = &policy.tls, ""
	}
	x.backends[*id] = b
	return verdict{}
}

// protocolOf returns how the gateway speaks to a port, by its appProtocol (KEP-3726), and
// whether it can. tls says that it is to use TLS.
func protocolOf(app *string, tls bool) (string, bool) {
	switch strings.ToLower(or(app, "")) {
	case "", "http":
		return "", true
	case "kubernetes.io/h2c", "http2", "grpc":
		return protocolH2C, true
	case "kubernetes.io/ws":
		return protocolWebSocket, true
	case "https", "kubernetes.io/wss":
		return "", tls
	}
	return "", false
}

// endpoints returns the addresses behind a port of a Service: those that are ready or,
// while there is none, those that still serve while they end.
func (x *index) endpoints(service Key, port *corev1.ServicePort) []config.Endpoint {
	var ready, ending []config.Endpoint
	for _, s := range x.slices[service] {
		number, ok := slicePort(s, port.Name)
		if !ok || s.AddressType == discoveryv1.AddressTypeFQDN {
			continue
		}
		for _, e := range s.Endpoints {
			for _, a := range e.Addresses {
				if _, err := netip.ParseAddr(a); err != nil {
					continue
				}
				switch at := (config.Endpoint{Address: a, Port: number}); {
				case or(e.Conditions.Ready, true):
					ready = append(ready, at)
				case or(e.Conditions.Serving, false) && or(e.Conditions.Terminating, false):
					ending = append(ending, at)
				}
			}
		}
	}
	if len(ready) == 0 {
		ready = ending
	}
	slices.SortFunc(ready, func(a, b config.Endpoint) int {
		return cmp.Or(strings.Compare(a.Address, b.Address), cmp.Compare(a.Port, b.Port))
	})
	return slices.Compact(ready)
}

// slicePort returns the number that a slice gives to the port of a name.
func slicePort(s *discoveryv1.EndpointSlice, name string) (int, bool) {
	for _, p := range s.Ports {
		if or(p.Name, "") == name && p.Port != nil && or(p.Protocol, corev1.ProtocolTCP) == corev1.ProtocolTCP {
			return int(*p.Port), true
		}
	}
	return 0, false
}
