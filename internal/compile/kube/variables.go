package kube

import (
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// variables returns a container's environment. A value that is one output
// comes from where outputs are kept. One that mixes text with outputs uses
// Kubernetes' dependent variables: the outputs come first, in variables of our
// own, and the value refers to them as $(NAME).
func (r *renderer) variables(c Container) []corev1.EnvVar {
	helpers := r.helpers(c)
	out := make([]corev1.EnvVar, 0, len(helpers.vars)+len(c.Variables))
	out = append(out, helpers.vars...)
	for _, v := range c.Variables {
		if msgs := validation.IsRelaxedEnvVarName(v.Name); len(msgs) > 0 {
			r.errorf("container %q: variable %q: %s", c.Name, v.Name, msgs[0])
		}
		parts := join(v.Value)
		if len(parts) == 1 && parts[0].Output != nil {
			out = append(out, r.fromOutput(v.Name, *parts[0].Output))
			continue
		}
		var b strings.Builder
		for _, p := range parts {
			if p.Output != nil {
				b.WriteString("$(" + helpers.names[*p.Output] + ")")
			} else {
				b.WriteString(escapeVariable(p.Text))
			}
		}
		out = append(out, corev1.EnvVar{Name: v.Name, Value: b.String()})
	}
	return out
}

// helperSet is the variables that hold outputs for composite values.
type helperSet struct {
	vars  []corev1.EnvVar
	names map[Output]string
}

func (r *renderer) helpers(c Container) helperSet {
	h := helperSet{names: map[Output]string{}}
	var taken map[string]bool
	for _, v := range c.Variables {
		parts := join(v.Value)
		if len(parts) < 2 {
			continue
		}
		if taken == nil {
			taken = make(map[string]bool, len(c.Variables))
			for _, v := range c.Variables {
				taken[v.Name] = true
			}
		}
		for _, p := range parts {
			if p.Output == nil || h.names[*p.Output] != "" {
				continue
			}
			name := helperName(*p.Output)
			for i := 2; taken[name]; i++ {
				name = helperName(*p.Output) + "_" + strconv.Itoa(i)
			}
			taken[name] = true
			h.names[*p.Output] = name
			h.vars = append(h.vars, r.fromOutput(name, *p.Output))
		}
	}
	return h
}

// helperName returns a legal name of a variable, such as STRATA_DB_PASSWORD.
func helperName(o Output) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z':
			return c - 'a' + 'A'
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			return c
		}
		return '_'
	}, "STRATA_"+o.Resource+"_"+o.Name)
}

// fromOutput returns a variable whose value is an output.
func (r *renderer) fromOutput(name string, o Output) corev1.EnvVar {
	r.checkOutput(o)
	if o.Secret {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: SecretsName(r.w.Name)}, Key: o.Key(),
		}}}
	}
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: OutputsName(r.w.Name)}, Key: o.Key(),
	}}}
}

// checkOutput finds an output that nothing would write: the pod would wait for
// it for ever.
func (r *renderer) checkOutput(o Output) {
	if !r.known[o] {
		r.errorf("output %q is used but not listed among the workload's outputs", o.Key())
	}
}

// escapeVariable returns text so that Kubernetes' expansion of variables gives
// the text back. There, $$ is a dollar and $( starts a reference; a dollar at
// the end may meet the parenthesis of a reference that follows.
func escapeVariable(s string) string {
	if strings.IndexByte(s, '$') < 0 {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte(s[i])
		if s[i] == '$' && (i == len(s)-1 || s[i+1] == '$' || s[i+1] == '(') {
			b.WriteByte('$')
		}
	}
	return b.String()
}

// join returns the parts without empty texts, and with adjacent texts joined.
func join(parts []Part) []Part {
	var out []Part
	for _, p := range parts {
		switch n := len(out); {
		case p.Output != nil:
			out = append(out, Part{Output: p.Output})
		case p.Text == "":
		case n > 0 && out[n-1].Output == nil:
			out[n-1].Text += p.Text
		default:
			out = append(out, Part{Text: p.Text})
		}
	}
	return out
}
