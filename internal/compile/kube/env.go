package kube

import (
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// environment renders variables. A variable that is one output refers to it; one
// that is put together refers to helper variables, which come first, and
// Kubernetes expands it in the pod, so that no secret stands in the object.
func (w *Workload) environment(c Container) []corev1.EnvVar {
	var helpers, out []corev1.EnvVar
	taken := map[string]bool{}
	for _, v := range c.Variables {
		taken[v.Name] = true
	}
	helper := map[Output]string{}
	for _, v := range c.Variables {
		if len(v.Value) == 1 && v.Value[0].Output != nil {
			out = append(out, corev1.EnvVar{Name: v.Name, ValueFrom: w.source(*v.Value[0].Output)})
			continue
		}
		var b strings.Builder
		for _, p := range v.Value {
			if p.Output == nil {
				b.WriteString(escapeExpansion(p.Text))
				continue
			}
			name, ok := helper[*p.Output]
			if !ok {
				name = helperName(*p.Output, taken)
				helper[*p.Output] = name
				helpers = append(helpers, corev1.EnvVar{Name: name, ValueFrom: w.source(*p.Output)})
			}
			b.WriteString("$(" + name + ")")
		}
		out = append(out, corev1.EnvVar{Name: v.Name, Value: b.String()})
	}
	return append(helpers, out...)
}

// escapeExpansion keeps Kubernetes from expanding what is only text: it reads
// $(NAME) as a variable and $$ as one dollar sign.
func escapeExpansion(s string) string { return strings.ReplaceAll(s, "$", "$$") }

// helperName makes a variable name of an output, unlike any other in the container.
func helperName(o Output, taken map[string]bool) string {
	base := "STRATA_" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, o.Resource+"_"+o.Name)
	name := base
	for i := 2; taken[name]; i++ {
		name = base + "_" + strconv.Itoa(i)
	}
	taken[name] = true
	return name
}

func (w *Workload) source(o Output) *corev1.EnvVarSource {
	if o.Secret {
		return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: SecretsName(w.Name)}, Key: o.Key(),
		}}
	}
	return &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: OutputsName(w.Name)}, Key: o.Key(),
	}}
}
