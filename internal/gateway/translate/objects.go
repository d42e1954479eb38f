// Package translate makes of the Gateway API's objects what gateways are told
// (internal/proxy/config) and what the objects' statuses say. It is pure: the same objects
// give the same result, without clock, network or cluster. Watching objects, running
// gateways and writing statuses is internal/gateway's business; serving traffic that of
// internal/proxy/gateway.
//
// Everything here follows the doc comments of sigs.k8s.io/gateway-api/apis/v1, which are
// the specification.
package translate

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/gateway/routepolicy"
	"github.com/stratahq/strata/internal/proxy/config"
)

// Key names an object of a kind that has namespaces.
type Key = types.NamespacedName

// Objects are all that there are of the kinds that gateways depend on. They are not changed.
type Objects struct {
	Classes            []*gwv1.GatewayClass
	Gateways           []*gwv1.Gateway
	HTTPRoutes         []*gwv1.HTTPRoute
	GRPCRoutes         []*gwv1.GRPCRoute
	ReferenceGrants    []*gwv1.ReferenceGrant
	BackendTLSPolicies []*gwv1.BackendTLSPolicy
	RoutePolicies      []*routepolicy.RoutePolicy
	Services           []*corev1.Service
	EndpointSlices     []*discoveryv1.EndpointSlice
	// Secrets with certificates; others need not be there.
	Secrets []*corev1.Secret
	// ConfigMaps with authorities; others need not be there.
	ConfigMaps []*corev1.ConfigMap
	Namespaces []*corev1.Namespace
}

// Deployed is how a gateway runs: what its Service and Deployment say.
type Deployed struct {
	// Addresses are those that clients reach it at.
	Addresses []gwv1.GatewayStatusAddress
	// Ready says that a pod of it is ready.
	Ready bool
	// Unusable says why an address that the Gateway asks for cannot be had; empty: it can.
	Unusable string
	// Problem says why it does not run; empty: nothing is known to be wrong.
	Problem string
}

// Options are what is the same for all gateways.
type Options struct {
	// Controller is the controllerName of the GatewayClasses that are ours.
	Controller string
	// TrustDomain is that of the gateways' and the backends' identities.
	TrustDomain string
}

// Result is what Translate makes. Statuses hold no times, and of lists that several
// controllers write, only our own entries.
type Result struct {
	// Gateways are those of accepted classes of ours, by namespace and name.
	Gateways []Gateway
	// Classes are the statuses of the classes of ours, by name.
	Classes map[string]gwv1.GatewayClassStatus
	// HTTPRoutes and GRPCRoutes are the statuses of routes. A route that is not here has no
	// parent of ours.
	HTTPRoutes, GRPCRoutes map[Key]gwv1.RouteStatus
	// Policies are the statuses of BackendTLSPolicies that are in use.
	Policies map[Key]gwv1.PolicyStatus
}

// Gateway is a gateway that has to run.
type Gateway struct {
	Object *gwv1.Gateway
	// Config is what its pods are told.
	Config config.Gateway
	// Ports are those of its Service. With none, nothing of it can be accepted.
	Ports []Port

	listeners      []*listener
	accepted, refs verdict
}

// Port is a port of a gateway's Service: the one that clients see, and the one that pods
// listen on, which needs no privilege.
type Port struct{ Public, Listen int32 }

// Key returns the gateway's name.
func (g *Gateway) Key() Key { return Key{Namespace: g.Object.Namespace, Name: g.Object.Name} }
