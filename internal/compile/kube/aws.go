package kube

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/model"
)

// ClusterSecretStore says how External Secrets reads the central secrets service. It is the
// part of external-secrets.io/v1 that Strata writes.
type ClusterSecretStore struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              SecretStoreSpec `json:"spec"`
}

// SecretStoreSpec says which service it is, and which namespaces may read it.
type SecretStoreSpec struct {
	Conditions []SecretStoreCondition `json:"conditions"`
	Provider   SecretStoreProvider    `json:"provider"`
}

// SecretStoreCondition selects namespaces.
type SecretStoreCondition struct {
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector"`
}

// SecretStoreProvider is whose service it is.
type SecretStoreProvider struct {
	AWS *AWSSecrets `json:"aws,omitempty"`
}

// AWSSecrets is a service of a region, read as whatever role External Secrets has.
type AWSSecrets struct {
	Service string `json:"service"`
	Region  string `json:"region"`
}

// DeepCopyObject returns a copy that shares nothing with the original.
func (in *ClusterSecretStore) DeepCopyObject() runtime.Object {
	if in == nil {
		return nil
	}
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Spec.Conditions = make([]SecretStoreCondition, len(in.Spec.Conditions))
	for i, c := range in.Spec.Conditions {
		out.Spec.Conditions[i].NamespaceSelector = c.NamespaceSelector.DeepCopy()
	}
	if a := in.Spec.Provider.AWS; a != nil {
		out.Spec.Provider.AWS = &AWSSecrets{Service: a.Service, Region: a.Region}
	}
	return &out
}

// secretStore returns the store that the workloads' ExternalSecrets read. Only namespaces
// of teams may.
func secretStore(env Env, meta metav1.ObjectMeta) []Object {
	if !env.Addons || env.Cloud != model.CloudAWS {
		return nil
	}
	return []Object{&ClusterSecretStore{TypeMeta: gvk("external-secrets.io/v1", "ClusterSecretStore"), ObjectMeta: meta, Spec: SecretStoreSpec{
		Conditions: []SecretStoreCondition{{NamespaceSelector: &metav1.LabelSelector{
			MatchLabels:      map[string]string{labelPartOf: env.Platform, LabelEnvironment: env.Name},
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: LabelTeam, Operator: metav1.LabelSelectorOpExists}},
		}}},
		Provider: SecretStoreProvider{AWS: &AWSSecrets{Service: "SecretsManager", Region: env.Region}},
	}}}
}

const loadBalancer = "service.beta.kubernetes.io/aws-load-balancer-"

// loadBalanced has the load balancer controller of the environment's add-ons serve a
// gateway of a class: from the internet, or from the environment's network. Public gateways
// see who their clients are; pods that call an internal one may be on its node, which has
// no way back to them then.
func loadBalanced(env Env, class string, i *gwv1.GatewayInfrastructure) {
	if !env.Addons || env.Cloud != model.CloudAWS {
		return
	}
	i.Annotations[loadBalancer+"type"] = "external"
	i.Annotations[loadBalancer+"nlb-target-type"] = "ip"
	i.Annotations[loadBalancer+"scheme"] = "internal"
	if class == ClassPublic {
		i.Annotations[loadBalancer+"scheme"] = "internet-facing"
		i.Annotations[loadBalancer+"target-group-attributes"] = "preserve_client_ip.enabled=true"
	}
}
