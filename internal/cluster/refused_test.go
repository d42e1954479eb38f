package cluster

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
)

// TestExplainRefused: what has no pods says why it may have none.
func TestExplainRefused(t *testing.T) {
	event := func(name, message string, at int64) runtime.Object {
		return &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name}, InvolvedObject: corev1.ObjectReference{UID: "7"}, Reason: "FailedCreate",
			Message: message, LastTimestamp: metav1.NewTime(time.Unix(at, 0)),
		}
	}
	c := &Client{Typed: fake.NewClientset(event("old", "first", 1), event("new", "pods \"db-0\" is forbidden:\nexceeded quota", 2))}
	for text, want := range map[string]string{
		`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"api","namespace":"a"},"spec":{"selector":{"matchLabels":{"name":"api"}}},
			"status":{"conditions":[{"type":"Progressing","status":"True"},{"type":"ReplicaFailure","status":"True","message":"violates PodSecurity"}]}}`: "its pods are refused: violates PodSecurity",
		`{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"db","namespace":"a","uid":"7"},"spec":{"selector":{"matchLabels":{"name":"db"}}}}`: `its pods are refused: pods "db-0" is forbidden: exceeded quota`,
	} {
		why, hopeless := c.Explain(t.Context(), parsed(t, text))
		if !slices.Equal(why, []string{want}) || hopeless {
			t.Errorf("%q, %v; want %q", why, hopeless, want)
		}
	}
}

// TestExplainHindered: a pod that does not get as far as its containers says what
// hinders it, which its status does not.
func TestExplainHindered(t *testing.T) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "api-1", UID: "8", Labels: map[string]string{"name": "api"}},
		Status:     corev1.PodStatus{Phase: corev1.PodPending},
	}
	deployment := parsed(t, `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"api","namespace":"a"},"spec":{"selector":{"matchLabels":{"name":"api"}}}}`)
	for want, objs := range map[string][]runtime.Object{
		"pod api-1: " + preparing: {pod},
		"pod api-1: it cannot be prepared: secret \"x\" not found": {pod, &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "mount"}, InvolvedObject: corev1.ObjectReference{UID: "8"}, Type: corev1.EventTypeWarning,
			Reason: "FailedMount", Message: "secret \"x\"\nnot found",
		}},
	} {
		c := &Client{Typed: fake.NewClientset(objs...)}
		if why, hopeless := c.Explain(t.Context(), deployment); !slices.Equal(why, []string{want}) || hopeless {
			t.Errorf("%q, %v; want %q", why, hopeless, want)
		}
	}
}
