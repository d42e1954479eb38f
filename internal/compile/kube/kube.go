// Package kube renders what a team or a workload needs in one environment to
// typed Kubernetes objects, in the order in which they are applied. It is pure:
// the same input gives the same objects, and nothing is read or asked. What the
// input is, package compile decides; what happens to the objects, the engine.
//
// Every pod satisfies the Pod Security Standard "restricted". No secret is ever
// written into an object: values of outputs come from a ConfigMap, secrets from
// a Secret, both by reference.
package kube

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/yamlout"
)

// Object is a typed Kubernetes object.
type Object interface {
	runtime.Object
	metav1.Object
}

// Labels and annotations of our own.
const (
	LabelTeam        = "strata.dev/team"
	LabelEnvironment = "strata.dev/environment"
	LabelAccelerator = "strata.dev/accelerator"
	AnnotationUnit   = "strata.dev/unit"

	// GatewayNamespace holds the gateways.
	GatewayNamespace = "strata-gateway"
	// DataNamespace holds databases and brokers of a local environment.
	DataNamespace = "strata-data"
	// SecretStore is the ClusterSecretStore that reads the environment's
	// central secrets service.
	SecretStore = "strata"
	// NameLabel selects a workload's pods.
	NameLabel = "app.kubernetes.io/name"
)

// OutputsName is the name of the ConfigMap that holds the values of outputs
// which a workload uses. The engine writes it; see graph.Binding.
func OutputsName(workload string) string { return workload + "-outputs" }

// SecretsName is the name of the Secret that holds the secret outputs which a
// workload uses.
func SecretsName(workload string) string { return workload + "-secrets" }

// FilesName is the name of the Secret that holds a workload's files that are
// put together from outputs.
func FilesName(workload string) string { return workload + "-files" }

var labelValue = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$`)

// meta returns the metadata that all objects of a unit share.
func meta(env Env, unit addr.Unit, team, app, component, namespace, name string) metav1.ObjectMeta {
	labels := map[string]string{}
	for k, v := range env.Labels {
		if labelValue.MatchString(v) {
			labels[k] = v
		}
	}
	labels[NameLabel] = app
	labels["app.kubernetes.io/instance"] = trimLabel(app + "-" + env.Name)
	labels["app.kubernetes.io/part-of"] = env.Platform
	labels["app.kubernetes.io/managed-by"] = "strata"
	labels["app.kubernetes.io/component"] = component
	labels[LabelEnvironment] = env.Name
	if team != "" {
		labels[LabelTeam] = team
	}
	return metav1.ObjectMeta{
		Namespace: namespace, Name: name, Labels: labels,
		Annotations: map[string]string{AnnotationUnit: unit.String()},
	}
}

func trimLabel(s string) string {
	if len(s) > 63 {
		s = s[:63]
	}
	return strings.TrimRight(s, "-._")
}

func (w *Workload) meta(env Env, component, name string) metav1.ObjectMeta {
	m := meta(env, w.Addr, w.Team, w.Name, component, w.Team, name)
	for k, v := range w.Annotations {
		if _, taken := m.Annotations[k]; !taken {
			m.Annotations[k] = v
		}
	}
	return m
}

func typeMeta(apiVersion, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}
}

func ptr[T any](v T) *T { return &v }

// MarshalJSON returns an object as JSON without what the API server fills in:
// status, null creation timestamps and empty blocks that mean nothing.
func MarshalJSON(o Object) ([]byte, error) {
	v, err := clean(o)
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// MarshalYAML returns objects as a YAML stream of one document each, in the
// given order. The same objects give the same bytes.
func MarshalYAML(objs []Object) ([]byte, error) {
	var out []byte
	for _, o := range objs {
		v, err := clean(o)
		if err != nil {
			return nil, err
		}
		out = append(out, "---\n"...)
		doc, err := yamlout.Append(nil, v)
		if err != nil {
			return nil, fmt.Errorf("%T %s: %w", o, o.GetName(), err)
		}
		out = append(out, doc...)
	}
	return out, nil
}

func clean(o Object) (map[string]any, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("%T %s: %w", o, o.GetName(), err)
	}
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, fmt.Errorf("%T %s: %w", o, o.GetName(), err)
	}
	delete(v, "status")
	prune(v)
	return v, nil
}

// prune drops nulls and those empty blocks that Go's zero values leave behind.
// Other empty blocks mean something, such as podSelector: {}.
func prune(v any) {
	switch x := v.(type) {
	case map[string]any:
		for k, e := range x {
			m, isMap := e.(map[string]any)
			switch {
			case e == nil, isMap && len(m) == 0 && (k == "resources" || k == "strategy" || k == "metadata"):
				delete(x, k)
			default:
				prune(e)
			}
		}
	case []any:
		for _, e := range x {
			prune(e)
		}
	}
}
