package kube

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stratahq/strata/internal/gateway/routepolicy"
)

// ExternalSecret asks the external secrets operator for a Secret made from the
// central secrets service. It is the part of external-secrets.io/v1 that Strata
// writes; the operator does not publish its types apart from itself.
type ExternalSecret struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              ExternalSecretSpec `json:"spec"`
}

// ExternalSecretSpec says what the Secret is made from.
type ExternalSecretSpec struct {
	RefreshInterval string               `json:"refreshInterval,omitempty"`
	SecretStoreRef  SecretStoreRef       `json:"secretStoreRef"`
	Target          ExternalSecretTarget `json:"target"`
	Data            []ExternalSecretData `json:"data,omitempty"`
}

// SecretStoreRef names the store to read from.
type SecretStoreRef struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// ExternalSecretTarget is the Secret to write.
type ExternalSecretTarget struct {
	Name           string                  `json:"name"`
	CreationPolicy string                  `json:"creationPolicy,omitempty"`
	DeletionPolicy string                  `json:"deletionPolicy,omitempty"`
	Template       *ExternalSecretTemplate `json:"template,omitempty"`
}

// ExternalSecretTemplate makes the Secret's content from the values read.
type ExternalSecretTemplate struct {
	EngineVersion string            `json:"engineVersion,omitempty"`
	Data          map[string]string `json:"data,omitempty"`
	TemplateFrom  []TemplateFrom    `json:"templateFrom,omitempty"`
}

// TemplateFrom takes templates from a ConfigMap.
type TemplateFrom struct {
	ConfigMap *TemplateConfigMap `json:"configMap,omitempty"`
	Target    string             `json:"target,omitempty"`
}

// TemplateConfigMap names a ConfigMap and the keys that hold templates.
type TemplateConfigMap struct {
	Name  string         `json:"name"`
	Items []TemplateItem `json:"items"`
}

// TemplateItem is a key that holds a template.
type TemplateItem struct {
	Key        string `json:"key"`
	TemplateAs string `json:"templateAs,omitempty"`
}

// ExternalSecretData reads one secret into a key.
type ExternalSecretData struct {
	SecretKey string    `json:"secretKey"`
	RemoteRef RemoteRef `json:"remoteRef"`
}

// RemoteRef is a secret's path in the central secrets service.
type RemoteRef struct {
	Key string `json:"key"`
}

// DeepCopyObject returns a copy that shares nothing with the original.
func (in *ExternalSecret) DeepCopyObject() runtime.Object {
	if in == nil {
		return nil
	}
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Spec.Data = slices.Clone(in.Spec.Data)
	if t := in.Spec.Target.Template; t != nil {
		c := *t
		c.Data = maps.Clone(t.Data)
		c.TemplateFrom = slices.Clone(t.TemplateFrom)
		for i, from := range c.TemplateFrom {
			if from.ConfigMap != nil {
				c.TemplateFrom[i].ConfigMap = &TemplateConfigMap{Name: from.ConfigMap.Name, Items: slices.Clone(from.ConfigMap.Items)}
			}
		}
		out.Spec.Target.Template = &c
	}
	return &out
}

// AddToScheme registers the types of others that this package has: of
// external-secrets.io/v1, cert-manager.io/v1, security.istio.io/v1, keda.sh/v1alpha1 and
// gateway.strata.dev/v1alpha1.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(schema.GroupVersion{Group: "external-secrets.io", Version: "v1"}, &ExternalSecret{}, &ClusterSecretStore{})
	s.AddKnownTypes(schema.GroupVersion{Group: routepolicy.Group, Version: routepolicy.Version}, &routepolicy.RoutePolicy{})
	addCertificates(s)
	addIstio(s)
	addKEDA(s)
	return nil
}

// externalSecrets returns the ExternalSecrets behind the workload's Secrets.
// In a local environment there are none: the engine writes the Secrets.
func (r *renderer) externalSecrets(files fileSet) []Object {
	if r.local() {
		return nil
	}
	var objs []Object
	var data []ExternalSecretData
	for _, o := range r.w.Outputs {
		if o.Secret {
			data = append(data, remote(o))
		}
	}
	if len(data) > 0 {
		objs = append(objs, r.externalSecret(SecretsName(r.w.Name), data, nil))
	}
	if len(files.secret) == 0 {
		return objs
	}
	data = nil
	tmpl := &ExternalSecretTemplate{EngineVersion: "v2"}
	var items []TemplateItem
	for _, f := range files.secret {
		for _, p := range f.parts {
			if p.Output != nil && p.Output.Secret && !slices.Contains(data, remote(*p.Output)) {
				data = append(data, remote(*p.Output))
			}
		}
		if f.content == "" {
			items = append(items, TemplateItem{Key: f.key, TemplateAs: "Values"})
			continue
		}
		if tmpl.Data == nil {
			tmpl.Data = map[string]string{}
		}
		tmpl.Data[f.key] = f.content
	}
	if len(items) > 0 {
		tmpl.TemplateFrom = []TemplateFrom{{Target: "Data", ConfigMap: &TemplateConfigMap{Name: TemplatesName(r.w.Name), Items: items}}}
	}
	return append(objs, r.externalSecret(FilesName(r.w.Name), data, tmpl))
}

// remote reads a secret output into its key.
func remote(o Output) ExternalSecretData {
	return ExternalSecretData{SecretKey: o.Key(), RemoteRef: RemoteRef{Key: o.SecretPath}}
}

func (r *renderer) externalSecret(name string, data []ExternalSecretData, tmpl *ExternalSecretTemplate) Object {
	return &ExternalSecret{
		TypeMeta: gvk("external-secrets.io/v1", "ExternalSecret"), ObjectMeta: r.meta(name),
		Spec: ExternalSecretSpec{
			RefreshInterval: "1h",
			SecretStoreRef:  SecretStoreRef{Kind: "ClusterSecretStore", Name: SecretStore},
			// A secret that vanishes from the service must not take running
			// pods down with it.
			Target: ExternalSecretTarget{Name: name, CreationPolicy: "Owner", DeletionPolicy: "Retain", Template: tmpl},
			Data:   data,
		},
	}
}
