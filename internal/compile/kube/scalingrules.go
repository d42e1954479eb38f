package kube

import (
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/proxy/config"
)

// ScalingClusterRules are what the metrics API for autoscalers must be allowed in the whole cluster:
// to know what autoscalers ask for and which pods there are to read it from, whom brokers'
// certificates are by, and to register itself with the API server.
func ScalingClusterRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{"autoscaling"}, Resources: []string{"horizontalpodautoscalers"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{"certificates.k8s.io"}, Resources: []string{"clustertrustbundles"}, ResourceNames: []string{TrustBundle}, Verbs: []string{"get"}},
		{APIGroups: []string{"apiregistration.k8s.io"}, Resources: []string{"apiservices"}, ResourceNames: []string{config.ScalingAPI}, Verbs: []string{"get", "patch"}},
		{APIGroups: []string{"apiregistration.k8s.io"}, Resources: []string{"apiservices"}, Verbs: []string{"create"}},
		// What the registration is removed with.
		{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"clusterroles"}, ResourceNames: []string{config.ControlAccount}, Verbs: []string{"get"}},
	}
}

// ScalingControlRules are what it must be allowed in its own namespace: to keep the key
// of the certificate that its replicas show the API server.
func ScalingControlRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{config.ScalingSecret}, Verbs: []string{"get", "update"}},
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"create"}},
	}
}

// ScalingDataRules are what it must be allowed in the namespace of a local environment's
// brokers (DataNamespace): to find them.
func ScalingDataRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list"}}}
}

// aggregated returns what every server needs that the API server sends requests on to
// (https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer): the
// API server says who asks, and whether they may.
func (r control) aggregated() (delegated, reader Object) {
	return &rbacv1.ClusterRoleBinding{
			TypeMeta: gvk("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"), ObjectMeta: r.meta("", config.ControlAccount+"-delegates"), Subjects: controlSubject(),
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:auth-delegator"},
		}, &rbacv1.RoleBinding{
			TypeMeta: gvk("rbac.authorization.k8s.io/v1", "RoleBinding"), ObjectMeta: r.meta(metav1.NamespaceSystem, config.ControlAccount), Subjects: controlSubject(),
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "extension-apiserver-authentication-reader"},
		}
}

// brokers reports whether the environment has brokers of its own in the cluster.
func (env Env) brokers() bool { return env.Cloud == model.CloudLocal }
