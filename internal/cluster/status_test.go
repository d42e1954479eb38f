package cluster

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestGatewayState(t *testing.T) {
	condition := func(kind, status, message string, generation int64) any {
		return map[string]any{"type": kind, "status": status, "message": message, "observedGeneration": generation}
	}
	for name, c := range map[string]struct {
		conditions []any
		want       State
	}{
		"new":              {nil, State{Reason: "no controller has looked at it yet"}},
		"of old":           {[]any{condition("Programmed", "True", "", 1)}, State{Reason: "no controller has looked at it yet"}},
		"starting":         {[]any{condition("Accepted", "True", "", 2), condition("Programmed", "False", "no pod is ready", 2)}, State{Reason: "no pod is ready"}},
		"refused":          {[]any{condition("Accepted", "False", "no such address", 2), condition("Programmed", "False", "invalid", 2)}, State{Failed: true, Reason: "no such address"}},
		"serving":          {[]any{condition("Accepted", "True", "", 2), condition("Programmed", "True", "", 2)}, State{Ready: true}},
		"nobody's so far":  {[]any{condition("Accepted", "Unknown", "Waiting for controller", 0)}, State{Reason: "no controller has looked at it yet"}},
		"serving as ahead": {[]any{condition("Programmed", "True", "", 3)}, State{Ready: true}},
	} {
		u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "status": map[string]any{"conditions": c.conditions}}}
		u.SetGeneration(2)
		if got := StateOf(u); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
