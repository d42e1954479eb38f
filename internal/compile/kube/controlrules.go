package kube

import (
	certsv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/proxy/config"
)

// IdentityClusterRules is the least that the control plane's service account needs in the
// whole cluster to give pods their identities.
func IdentityClusterRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		// Requests, and the answer to them.
		{APIGroups: []string{certsv1.GroupName}, Resources: []string{"podcertificaterequests"}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: []string{certsv1.GroupName}, Resources: []string{"podcertificaterequests/status"}, Verbs: []string{"update"}},
		// The API server asks besides whether one may answer for this signer, and say whom
		// it is to be trusted by.
		{APIGroups: []string{certsv1.GroupName}, Resources: []string{"signers"}, ResourceNames: []string{config.Signer}, Verbs: []string{"attest", "sign"}},
		// What a request is compared with. Pods are listed when roots are lost, to see whether
		// anybody has certificates of them.
		{APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list"}},
		// The roots that pods trust. What is made has no name yet for the API server.
		{APIGroups: []string{certsv1.GroupName}, Resources: []string{"clustertrustbundles"}, ResourceNames: []string{config.TrustBundle}, Verbs: []string{"get", "update"}},
		{APIGroups: []string{certsv1.GroupName}, Resources: []string{"clustertrustbundles"}, Verbs: []string{"create"}},
		// What was issued to which pod, and what happened to roots.
		{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
	}
}

// IdentityControlRules is what it needs in its own namespace (config.ControlNamespace):
// to elect a leader, and the status for people.
func IdentityControlRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{coordinationv1.GroupName}, Resources: []string{"leases"}, ResourceNames: []string{config.ControlLease}, Verbs: []string{"get", "update"}},
		{APIGroups: []string{coordinationv1.GroupName}, Resources: []string{"leases"}, Verbs: []string{"create"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{config.IdentityStatus}, Verbs: []string{"get", "update"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"create"}},
	}
}

// IdentitySecretRules is what it needs in the namespace of secrets
// (cluster.SecretsNamespace): its own Secret, which holds the keys of the roots.
func IdentitySecretRules(platform, environment string) []rbacv1.PolicyRule {
	name := cluster.SecretName(config.RootsPath(platform, environment))
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{name}, Verbs: []string{"get", "update"}},
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"create"}},
	}
}

// WebSecretRules is what it needs in the namespace of secrets to issue the certificates of
// Gateways: the Secret with the keys of their authorities. That it may make one,
// IdentitySecretRules says.
func WebSecretRules(platform, environment string) []rbacv1.PolicyRule {
	name := cluster.SecretName(config.WebRootsPath(platform, environment))
	return []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{name}, Verbs: []string{"get", "update"}}}
}

// WebGatewayRules is what it needs for that in the namespace of the Gateways: their
// Secrets, and the ConfigMap with the authorities. What is made has no name yet for
// the API server.
func WebGatewayRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{CertificateName(ClassPublic), CertificateName(ClassInternal)}, Verbs: []string{"get", "update"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{config.WebAuthorities}, Verbs: []string{"get", "update"}},
		{APIGroups: []string{""}, Resources: []string{"secrets", "configmaps"}, Verbs: []string{"create"}},
	}
}
