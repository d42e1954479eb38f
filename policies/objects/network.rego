# How traffic reaches pods.
package strata.objects

import data.strata.lib.k8s

# METADATA
# title: Services stay inside the cluster
# description: Traffic enters by the gateway, which does TLS, authentication and telemetry; a node port or load balancer of its own goes around it.
# custom:
#   id: service-exposed
#   severity: high
#   layer: networking
#   controls: ["Strata: private by default"]
#   kinds: [Service]
deny contains msg if {
	input.apiVersion == "v1"
	exposing(input.spec.type)
	msg := sprintf("the Service must not be of type %s; expose a workload with a route", [input.spec.type])
}

exposing("NodePort")

exposing("LoadBalancer") if not input.metadata.namespace == "strata-gateway"

# METADATA
# title: Services take no address of their own choosing
# description: With externalIPs a Service can take over traffic that is meant for others (CVE-2020-8554).
# custom:
#   id: service-external-ips
#   severity: high
#   layer: networking
#   controls: ["CVE-2020-8554"]
#   kinds: [Service]
deny contains "the Service must not set externalIPs" if {
	input.apiVersion == "v1"
	some _ in input.spec.externalIPs
}

# METADATA
# title: Routes attach to an HTTPS listener
# description: A public route is never served without TLS; an internal one only where the environment has TLS disabled.
# custom:
#   id: route-https
#   severity: high
#   layer: networking
#   controls: ["Strata: no public route without TLS"]
#   kinds: [HTTPRoute, GRPCRoute]
deny contains msg if {
	some parent in input.spec.parentRefs
	object.get(parent, "kind", "Gateway") == "Gateway"
	not attached_https(parent)
	not plain_allowed(parent)
	not only_redirects
	msg := sprintf("the route must attach to a listener https... of gateway %q", [k8s.name(parent)])
}

# A route that only sends clients to HTTPS serves nothing itself.
only_redirects if {
	count(object.get(input.spec, "rules", [])) > 0
	every rule in input.spec.rules {
		some filter in rule.filters
		filter.type == "RequestRedirect"
		filter.requestRedirect.scheme == "https"
	}
}

attached_https(parent) if startswith(parent.sectionName, "https")

plain_allowed(parent) if {
	input.strata.environment.tls == "disabled"
	parent.name != "public"
}

plain_allowed(_) if {
	input.strata.environment.tls == "disabled"
	k8s.local
}

# METADATA
# title: Plain HTTP listeners take no routes from elsewhere
# description: A listener without TLS may redirect; it may not serve what other namespaces attach.
# custom:
#   id: gateway-plain-listener
#   severity: high
#   layer: networking
#   controls: ["Strata: no public route without TLS"]
#   kinds: [Gateway]
deny contains msg if {
	not input.strata.environment.tls == "disabled"
	some l in input.spec.listeners
	l.protocol == "HTTP"
	object.get(l, ["allowedRoutes", "namespaces", "from"], "Same") != "Same"
	msg := sprintf("listener %q serves plain HTTP to other namespaces' routes", [k8s.name(l)])
}

# METADATA
# title: Ingresses have TLS
# description: An Ingress without a tls section serves plain HTTP.
# custom:
#   id: ingress-tls
#   severity: high
#   layer: networking
#   controls: ["Strata: no public route without TLS"]
#   kinds: [Ingress]
deny contains "the Ingress must have a tls section" if not ingress_tls

ingress_tls if {
	some _ in input.spec.tls
}

# METADATA
# title: Network policies let in nobody unnamed
# description: An ingress rule without "from", or from 0.0.0.0/0, opens the pods to everything that can reach the cluster. Public gateways are there for everybody.
# custom:
#   id: network-policy-open
#   severity: high
#   layer: networking
#   controls: ["CIS Kubernetes 5.3.2"]
#   kinds: [NetworkPolicy]
deny contains "an ingress rule lets in everybody" if {
	not public_gateway
	some rule in input.spec.ingress
	open_rule(rule)
}

public_gateway if {
	input.metadata.namespace == "strata-gateway"
	input.spec.podSelector.matchLabels["gateway.networking.k8s.io/gateway-name"] == "public"
}

open_rule(rule) if not restricted_rule(rule)

open_rule(rule) if {
	some peer in rule.from
	peer.ipBlock.cidr in {"0.0.0.0/0", "::/0"}
}

restricted_rule(rule) if {
	some _ in rule.from
}

# METADATA
# title: The default-deny policy denies by default
# description: A policy called default-deny that selects only some pods, or misses a direction, is worse than none because people trust it.
# custom:
#   id: network-policy-default-deny
#   severity: high
#   layer: networking
#   controls: ["CIS Kubernetes 5.3.2"]
#   kinds: [NetworkPolicy]
deny contains msg if {
	startswith(input.metadata.name, "default-deny")
	some msg in default_deny_wrong
}

default_deny_wrong contains "the default-deny policy must select every pod" if {
	some _ in input.spec.podSelector.matchLabels
}

default_deny_wrong contains "the default-deny policy must select every pod" if {
	some _ in input.spec.podSelector.matchExpressions
}

default_deny_wrong contains "the default-deny policy must name both Ingress and Egress" if {
	count({"Ingress", "Egress"} - default_deny_types) > 0
	not one_direction
}

default_deny_types := {t | some t in input.spec.policyTypes}

# A pair of policies, one for each direction, does the same as one for both.
one_direction if {
	startswith(input.metadata.name, "default-deny-ingress")
	"Ingress" in default_deny_types
}

one_direction if {
	startswith(input.metadata.name, "default-deny-egress")
	"Egress" in default_deny_types
}

default_deny_wrong contains "the default-deny policy must allow nothing" if {
	some _ in input.spec.ingress
}

default_deny_wrong contains "the default-deny policy must allow nothing" if {
	some _ in input.spec.egress
}

# METADATA
# title: The mesh insists on mutual TLS
# description: PERMISSIVE and DISABLE let a caller without an identity in.
# custom:
#   id: mesh-mutual-tls
#   severity: high
#   layer: networking
#   controls: ["Strata: mutual TLS between workloads"]
#   kinds: [PeerAuthentication]
deny contains "mutual TLS must be STRICT" if not input.spec.mtls.mode == "STRICT"

# METADATA
# title: Storage classes encrypt
# description: Volumes of the EBS driver are encrypted only when their class says so.
# custom:
#   id: storage-class-encrypted
#   severity: high
#   layer: provisioning
#   controls: ["CIS AWS Foundations 2.2.1"]
#   kinds: [StorageClass]
deny contains "the storage class must set parameters.encrypted to \"true\"" if {
	input.provisioner == "ebs.csi.aws.com"
	not input.parameters.encrypted == "true"
}
