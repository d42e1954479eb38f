package kube

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// ExternalSecret is the part of external-secrets.io/v1 that Strata renders: it
// names paths of the central secrets service, from which the cluster's
// External Secrets Operator makes a Secret. The operator's own types are not
// published as a Go module that can be had by itself.
type ExternalSecret struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              ExternalSecretSpec `json:"spec"`
}

// ExternalSecretSpec says where the values come from and which Secret they
// make.
type ExternalSecretSpec struct {
	RefreshInterval string               `json:"refreshInterval"`
	SecretStoreRef  SecretStoreRef       `json:"secretStoreRef"`
	Target          ExternalSecretTarget `json:"target"`
	Data            []ExternalSecretData `json:"data"`
}

// SecretStoreRef names a store.
type SecretStoreRef struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

// ExternalSecretTarget names the Secret that is made.
type ExternalSecretTarget struct {
	Name           string `json:"name"`
	CreationPolicy string `json:"creationPolicy"`
}

// ExternalSecretData maps a path of the store to a key of the Secret.
type ExternalSecretData struct {
	SecretKey string    `json:"secretKey"`
	RemoteRef RemoteRef `json:"remoteRef"`
}

// RemoteRef is a path of the store.
type RemoteRef struct {
	Key string `json:"key"`
}

// DeepCopyObject copies the object.
func (e *ExternalSecret) DeepCopyObject() runtime.Object {
	out := &ExternalSecret{TypeMeta: e.TypeMeta, Spec: e.Spec}
	e.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Spec.Data = append([]ExternalSecretData(nil), e.Spec.Data...)
	return out
}

// externalSecret fetches the workload's secret outputs. In a local environment
// there is no operator: the engine binds the Secret itself.
func (w *Workload) externalSecret(env Env) *ExternalSecret {
	if env.Cloud == "local" {
		return nil
	}
	var data []ExternalSecretData
	for _, o := range w.Outputs {
		if o.Secret {
			data = append(data, ExternalSecretData{SecretKey: o.Key(), RemoteRef: RemoteRef{Key: o.SecretPath}})
		}
	}
	if data == nil {
		return nil
	}
	return &ExternalSecret{
		TypeMeta:   typeMeta("external-secrets.io/v1", "ExternalSecret"),
		ObjectMeta: w.meta(env, "secrets", SecretsName(w.Name)),
		Spec: ExternalSecretSpec{
			RefreshInterval: "5m",
			SecretStoreRef:  SecretStoreRef{Name: SecretStore, Kind: "ClusterSecretStore"},
			Target:          ExternalSecretTarget{Name: SecretsName(w.Name), CreationPolicy: "Owner"},
			Data:            data,
		},
	}
}
