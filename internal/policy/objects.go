package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/model"
)

// ObjectContext says where objects belong.
type ObjectContext struct {
	// Environment is what rules see of the environment; nil for objects that
	// belong to none, such as a file from elsewhere.
	Environment *Environment
	// Unit is the unit's address; zero for objects that belong to none.
	Unit  addr.Unit
	Layer model.Layer
	// File is where the objects come from, for the findings.
	File string
}

// Object is decoded JSON with the line of its document.
type Object struct {
	Value map[string]any
	Line  int
}

// objectFacts is input.strata for an object.
type objectFacts struct {
	Environment *Environment `json:"environment,omitempty"`
	Unit        string       `json:"unit,omitempty"`
	Layer       model.Layer  `json:"layer,omitempty"`
	Pod         *podFacts    `json:"pod,omitempty"`
}

// podFacts is the pod within an object, wherever the kind keeps it, so that
// rules about pods are written once.
type podFacts struct {
	Metadata any `json:"metadata"`
	Spec     any `json:"spec"`
	// Containers are the init, ordinary and ephemeral containers together.
	Containers []any `json:"containers"`
	// Lasting are those that run as long as the pod does: the ordinary ones, and init
	// containers that are sidecars.
	Lasting []any `json:"lasting"`
}

// Objects judges Kubernetes objects, each alone. An object is a typed struct
// (runtime.Object), decoded JSON (map[string]any) or an Object.
func (s *Set) Objects(ctx context.Context, oc ObjectContext, objs ...any) ([]Finding, error) {
	var out []Finding
	facts := objectFacts{Environment: oc.Environment, Layer: oc.Layer}
	if oc.Unit != (addr.Unit{}) {
		facts.Unit = oc.Unit.Name
	}
	for i, obj := range objs {
		line := 0
		if o, ok := obj.(Object); ok {
			obj, line = o.Value, o.Line
		}
		kind, namespace, name := identity(obj)
		if kind == "" {
			return nil, fmt.Errorf("object %d of %s has no kind", i, oc.Unit)
		}
		f := facts
		f.Pod = podOf(obj, kind)
		hits, err := s.judge(ctx, StageObjects, kind, document{value: obj, facts: &f})
		if err != nil {
			return nil, fmt.Errorf("judge %s/%s: %w", kind, name, err)
		}
		if len(hits) == 0 {
			continue
		}
		address := kind + "/" + name
		if namespace != "" {
			address = kind + "/" + namespace + "/" + name
		}
		if facts.Unit != "" {
			address = facts.Unit + " " + address
		}
		env := oc.Unit.Env
		if env == "" && oc.Environment != nil {
			env = oc.Environment.Name
		}
		for _, h := range hits {
			out = append(out, h.finding(env, address, oc.File, line))
		}
	}
	SortFindings(out)
	return out, nil
}

// ObjectsJSON judges one Kubernetes object given as JSON.
func (s *Set) ObjectsJSON(ctx context.Context, oc ObjectContext, data []byte) ([]Finding, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var obj map[string]any
	if err := d.Decode(&obj); err != nil {
		return nil, fmt.Errorf("decode Kubernetes object: %w", err)
	}
	return s.Objects(ctx, oc, obj)
}

// identity returns kind, namespace and name of an object.
func identity(obj any) (kind, namespace, name string) {
	if m, ok := obj.(map[string]any); ok {
		kind, _ = m["kind"].(string)
		meta, _ := m["metadata"].(map[string]any)
		namespace, _ = meta["namespace"].(string)
		name, _ = meta["name"].(string)
		return kind, namespace, name
	}
	if o, ok := obj.(runtime.Object); ok {
		kind = o.GetObjectKind().GroupVersionKind().Kind
		if kind == "" {
			kind = reflect.Indirect(reflect.ValueOf(obj)).Type().Name()
		}
	}
	if o, ok := obj.(v1.Object); ok {
		namespace, name = o.GetNamespace(), o.GetName()
	}
	return kind, namespace, name
}

func podOf(obj any, kind string) *podFacts {
	switch o := obj.(type) {
	case map[string]any:
		return podOfMap(o, kind)
	case *corev1.Pod:
		return podOfSpec(&o.ObjectMeta, &o.Spec)
	case *corev1.ReplicationController:
		if o.Spec.Template == nil {
			return nil
		}
		return podOfSpec(&o.Spec.Template.ObjectMeta, &o.Spec.Template.Spec)
	case *appsv1.Deployment:
		return podOfSpec(&o.Spec.Template.ObjectMeta, &o.Spec.Template.Spec)
	case *appsv1.StatefulSet:
		return podOfSpec(&o.Spec.Template.ObjectMeta, &o.Spec.Template.Spec)
	case *appsv1.DaemonSet:
		return podOfSpec(&o.Spec.Template.ObjectMeta, &o.Spec.Template.Spec)
	case *appsv1.ReplicaSet:
		return podOfSpec(&o.Spec.Template.ObjectMeta, &o.Spec.Template.Spec)
	case *batchv1.Job:
		return podOfSpec(&o.Spec.Template.ObjectMeta, &o.Spec.Template.Spec)
	case *batchv1.CronJob:
		t := &o.Spec.JobTemplate.Spec.Template
		return podOfSpec(&t.ObjectMeta, &t.Spec)
	}
	return nil
}

func podOfSpec(meta *v1.ObjectMeta, spec *corev1.PodSpec) *podFacts {
	p := &podFacts{Metadata: meta, Spec: spec, Containers: make([]any, 0, len(spec.InitContainers)+len(spec.Containers)+len(spec.EphemeralContainers))}
	p.Lasting = make([]any, 0, len(spec.InitContainers)+len(spec.Containers))
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		p.Containers = append(p.Containers, c)
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			p.Lasting = append(p.Lasting, c)
		}
	}
	for i := range spec.Containers {
		p.Containers = append(p.Containers, &spec.Containers[i])
		p.Lasting = append(p.Lasting, &spec.Containers[i])
	}
	for i := range spec.EphemeralContainers {
		p.Containers = append(p.Containers, (*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon))
	}
	return p
}

// podPaths says where each kind keeps its pod.
var podPaths = map[string][]string{
	"Pod":                   {},
	"Deployment":            {"spec", "template"},
	"StatefulSet":           {"spec", "template"},
	"DaemonSet":             {"spec", "template"},
	"ReplicaSet":            {"spec", "template"},
	"ReplicationController": {"spec", "template"},
	"Job":                   {"spec", "template"},
	"CronJob":               {"spec", "jobTemplate", "spec", "template"},
}

func podOfMap(m map[string]any, kind string) *podFacts {
	path, ok := podPaths[kind]
	if !ok {
		return nil
	}
	for _, k := range path {
		if m, ok = m[k].(map[string]any); !ok {
			return nil
		}
	}
	spec, ok := m["spec"].(map[string]any)
	if !ok {
		return nil
	}
	p := &podFacts{Metadata: m["metadata"], Spec: spec, Containers: []any{}, Lasting: []any{}}
	if p.Metadata == nil {
		p.Metadata = map[string]any{}
	}
	for _, k := range []string{"initContainers", "containers", "ephemeralContainers"} {
		list, _ := spec[k].([]any)
		p.Containers = append(p.Containers, list...)
		for _, c := range list {
			one, _ := c.(map[string]any)
			if k == "containers" || k == "initContainers" && one["restartPolicy"] == string(corev1.ContainerRestartPolicyAlways) {
				p.Lasting = append(p.Lasting, c)
			}
		}
	}
	return p
}
