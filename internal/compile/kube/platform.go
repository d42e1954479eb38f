package kube

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/proxy/config"
)

// The classes of a route, each served by the Gateway of that name.
const (
	// ClassPublic routes can be reached from the internet.
	ClassPublic = "public"
	// ClassInternal routes can be reached from the environment's network.
	ClassInternal = "internal"
)

const (
	listenerHTTPS = "https"
	listenerHTTP  = "http"
	gatewayGroup  = "gateway.networking.k8s.io/v1"
)

// RenderPlatform returns what an environment has once: the roles of access
// rules with the bindings of those that hold for all teams, and, if it has an
// ingress domain, the Gateways through which traffic enters, with their namespace where
// that is not RenderControl's.
func RenderPlatform(env Env, p Platform) ([]Object, error) {
	lab := labels(env, "strata-platform", "platform", "", nil)
	ann := annotations(p.Addr, nil)
	access := platformAccess(env, func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, Labels: lab, Annotations: ann}
	})
	gwLab := labels(env, GatewayNamespace, "gateway", "", nil)
	access = append(access, authorityAccess(env, metav1.ObjectMeta{Name: config.WebAuthorities, Namespace: GatewayNamespace, Labels: gwLab, Annotations: ann})...)
	access = append(access, secretStore(env, metav1.ObjectMeta{Name: SecretStore, Labels: lab, Annotations: ann})...)
	if env.IngressDomain == "" {
		return access, nil
	}
	objs := access
	if !env.OwnGateways() {
		objs = append([]Object{namespace(env, GatewayNamespace, gwLab, ann)}, access...)
	}
	objs = append(objs, certificates(env, func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: gwLab, Annotations: ann}
	})...)
	for _, class := range []string{ClassPublic, ClassInternal} {
		objs = append(objs, gateway(env, class, metav1.ObjectMeta{Name: class, Namespace: GatewayNamespace, Labels: gwLab, Annotations: issued(env, class, ann)}))
	}
	if !tls(env) {
		return objs, nil
	}
	for _, class := range []string{ClassPublic, ClassInternal} {
		objs = append(objs, redirect(class, metav1.ObjectMeta{Name: class + "-redirect", Namespace: GatewayNamespace, Labels: gwLab, Annotations: ann}))
	}
	return objs, nil
}

// tls reports whether the environment's gateways serve HTTPS.
func tls(env Env) bool { return env.TLS != model.TLSDisabled }

// OwnAuthority reports whether the control plane issues the certificates of the
// environment's gateways.
func (e Env) OwnAuthority() bool { return e.OwnGateways() && e.TLS == model.TLSPlatformCA }

// domain is where the hosts of a class of routes are.
func domain(env Env, class string) string {
	if class == ClassInternal {
		return env.InternalDomain
	}
	return env.IngressDomain
}

// issued returns annotations of the Gateway of a class: with those that ask the control
// plane for a certificate, where it issues them.
func issued(env Env, class string, ann map[string]string) map[string]string {
	if !env.OwnAuthority() {
		return ann
	}
	return with(with(ann, config.IssuerAnnotation, config.IssuerPlatform), config.DomainAnnotation, domain(env, class))
}

// listener is the listener that workloads' routes attach to.
func listener(env Env) gwv1.SectionName {
	if tls(env) {
		return listenerHTTPS
	}
	return listenerHTTP
}

// gateway returns a Gateway. Only namespaces of teams may attach routes to the
// listener that serves; with TLS, plain HTTP has a redirect and nothing else.
func gateway(env Env, class string, meta metav1.ObjectMeta) Object {
	name := gwv1.ObjectName(env.GatewayClass)
	if name == "" {
		name = config.GatewayClass
	}
	teams := &gwv1.AllowedRoutes{
		Namespaces: &gwv1.RouteNamespaces{From: ptr(gwv1.NamespacesFromSelector), Selector: &metav1.LabelSelector{
			MatchLabels:      map[string]string{labelPartOf: env.Platform},
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: LabelTeam, Operator: metav1.LabelSelectorOpExists}},
		}},
		Kinds: []gwv1.RouteGroupKind{{Group: ptr(gwv1.Group(gwv1.GroupName)), Kind: "HTTPRoute"}},
	}
	plain := gwv1.Listener{Name: listenerHTTP, Port: 80, Protocol: gwv1.HTTPProtocolType, AllowedRoutes: teams}
	listeners := []gwv1.Listener{plain}
	if tls(env) {
		listeners[0].AllowedRoutes = &gwv1.AllowedRoutes{
			Namespaces: &gwv1.RouteNamespaces{From: ptr(gwv1.NamespacesFromSame)},
			Kinds:      teams.Kinds,
		}
		listeners = []gwv1.Listener{{
			Name: listenerHTTPS, Port: 443, Protocol: gwv1.HTTPSProtocolType, AllowedRoutes: teams,
			TLS: &gwv1.ListenerTLSConfig{
				Mode:            ptr(gwv1.TLSModeTerminate),
				CertificateRefs: []gwv1.SecretObjectReference{{Group: ptr(gwv1.Group("")), Kind: ptr(gwv1.Kind("Secret")), Name: gwv1.ObjectName(CertificateName(class))}},
			},
		}, listeners[0]}
	}
	// Its pods belong to the environment and to the unit, like all that a unit makes.
	infrastructure := &gwv1.GatewayInfrastructure{
		Labels:      map[gwv1.LabelKey]gwv1.LabelValue{},
		Annotations: map[gwv1.AnnotationKey]gwv1.AnnotationValue{AnnotationUnit: gwv1.AnnotationValue(meta.Annotations[AnnotationUnit])},
	}
	for _, l := range []string{labelPartOf, labelComponent, LabelEnvironment} {
		infrastructure.Labels[gwv1.LabelKey(l)] = gwv1.LabelValue(meta.Labels[l])
	}
	loadBalanced(env, class, infrastructure)
	return &gwv1.Gateway{TypeMeta: gvk(gatewayGroup, "Gateway"), ObjectMeta: meta, Spec: gwv1.GatewaySpec{
		GatewayClassName: name, Listeners: listeners, Infrastructure: infrastructure,
	}}
}

// CertificateName is the Secret in GatewayNamespace with the certificate of
// the Gateway that serves a class of routes.
func CertificateName(class string) string { return class + "-tls" }

// redirect sends plain HTTP to HTTPS.
func redirect(class string, meta metav1.ObjectMeta) Object {
	return &gwv1.HTTPRoute{TypeMeta: gvk(gatewayGroup, "HTTPRoute"), ObjectMeta: meta, Spec: gwv1.HTTPRouteSpec{
		CommonRouteSpec: gwv1.CommonRouteSpec{ParentRefs: []gwv1.ParentReference{parent(class, "", listenerHTTP)}},
		Rules: []gwv1.HTTPRouteRule{{
			Matches: []gwv1.HTTPRouteMatch{{Path: &gwv1.HTTPPathMatch{Type: ptr(gwv1.PathMatchPathPrefix), Value: ptr("/")}}},
			Filters: []gwv1.HTTPRouteFilter{{Type: gwv1.HTTPRouteFilterRequestRedirect, RequestRedirect: &gwv1.HTTPRequestRedirectFilter{Scheme: ptr("https"), StatusCode: ptr(301)}}},
		}},
	}}
}

// parent refers to a listener of the Gateway of a class.
func parent(class, namespace string, section gwv1.SectionName) gwv1.ParentReference {
	ref := gwv1.ParentReference{
		Group: ptr(gwv1.Group(gwv1.GroupName)), Kind: ptr(gwv1.Kind("Gateway")),
		Name: gwv1.ObjectName(class), SectionName: &section,
	}
	if namespace != "" {
		ref.Namespace = ptr(gwv1.Namespace(namespace))
	}
	return ref
}
