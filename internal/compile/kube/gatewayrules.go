package kube

import (
	rbacv1 "k8s.io/api/rbac/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/gateway/routepolicy"
)

// GatewayClusterRules are what the gateways' controller must be allowed in the whole cluster. It reads
// what routes may refer to, and writes nothing but the statuses of the Gateway API's objects.
func GatewayClusterRules() []rbacv1.PolicyRule {
	read := []string{"get", "list", "watch"}
	return []rbacv1.PolicyRule{
		{APIGroups: []string{gwv1.GroupName}, Resources: []string{"gatewayclasses", "gateways", "httproutes", "grpcroutes", "referencegrants", "backendtlspolicies"}, Verbs: read},
		{APIGroups: []string{gwv1.GroupName}, Resources: []string{"gatewayclasses/status", "gateways/status", "httproutes/status", "grpcroutes/status", "backendtlspolicies/status"}, Verbs: []string{"update"}},
		{APIGroups: []string{routepolicy.Group}, Resources: []string{routepolicy.Resource}, Verbs: read},
		{APIGroups: []string{""}, Resources: []string{"services", "configmaps", "namespaces"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"list", "watch"}},
		// Its own are told apart by a label, which no rule can say.
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"list", "watch"}},
	}
}

// GatewayNamespaceRules are what it must be allowed in each namespace with Gateways:
// to run them there.
func GatewayNamespaceRules() []rbacv1.PolicyRule {
	change := []string{"get", "create", "patch", "delete"}
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"serviceaccounts", "services"}, Verbs: change},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: change},
		{APIGroups: []string{"policy"}, Resources: []string{"poddisruptionbudgets"}, Verbs: change},
	}
}

// GatewaySecretRules are what it must be allowed in each namespace that it looks for
// certificates in.
func GatewaySecretRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"list", "watch"}}}
}
