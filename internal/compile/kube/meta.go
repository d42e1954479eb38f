package kube

import (
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/stratahq/strata/internal/addr"
)

// gvk is the apiVersion and kind of an object.
func gvk(apiVersion, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}
}

// labels returns the recommended labels of an object, and those of the
// environment and of extra that Kubernetes accepts. Ours win, and a free label
// cannot pass for one of ours: gateways tell namespaces of teams by it.
func labels(env Env, name, component, team string, extra map[string]string) map[string]string {
	l := make(map[string]string, 8+len(env.Labels)+len(extra))
	for _, free := range []map[string]string{env.Labels, extra} {
		for k, v := range free {
			if !strings.HasPrefix(k, "strata.dev/") && len(validation.IsQualifiedName(k)) == 0 && len(validation.IsValidLabelValue(v)) == 0 {
				l[k] = v
			}
		}
	}
	l[labelName] = fit(name, validation.LabelValueMaxLength)
	l[labelInstance] = fit(name+"-"+env.Name, validation.LabelValueMaxLength)
	l[labelPartOf] = env.Platform
	l[labelManagedBy] = "strata"
	l[labelComponent] = component
	l[LabelEnvironment] = env.Name
	if team != "" {
		l[LabelTeam] = team
	}
	return l
}

// annotations returns an object's annotations: those given, where Kubernetes
// accepts them, and the unit's address.
func annotations(unit addr.Unit, given map[string]string) map[string]string {
	a := make(map[string]string, len(given)+1)
	for k, v := range given {
		if len(validation.IsQualifiedName(k)) == 0 {
			a[k] = v
		}
	}
	a[AnnotationUnit] = unit.String()
	return a
}

// with returns a copy of m with one more entry.
func with(m map[string]string, key, value string) map[string]string {
	out := make(map[string]string, len(m)+1)
	maps.Copy(out, m)
	out[key] = value
	return out
}

// sorted returns the keys of m in order.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// ptr returns a pointer to v, which Kubernetes types use for optional fields.
func ptr[T any](v T) *T { return &v }
