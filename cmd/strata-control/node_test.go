package main

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stratahq/strata/internal/identity"
	"github.com/stratahq/strata/internal/proxy/config"
)

// TestNode runs the control plane in a real node, with real kubelets: pods get identities
// and trust each other while roots are rotated and leaders are killed.
func TestNode(t *testing.T) {
	w := newWorld(t)
	w.control("--root-overlap=3m")
	w.namespace("shop")
	w.namespace("mail")
	w.account("shop", "cart")
	w.account("mail", "post")
	pods := map[string]string{ // by address
		"shop/cart-1": w.peer("shop", "cart-1", "cart", nil),
		"mail/post-1": w.peer("mail", "post-1", "post", nil),
	}
	w.verifies("shop", "cart-1", "cart")
	w.verifies("mail", "post-1", "post")
	w.talk(pods)
	w.denied()
	w.down(pods)

	first := w.status(1)
	w.must(identity.RequestRotation(t.Context(), w.client, "by hand"))
	w.status(2)
	// Both roots reach the pods that run, without a restart.
	for name := range pods {
		ns, pod, _ := strings.Cut(name, "/")
		w.eventually(func() error {
			if n := len(w.has(ns, pod).Trust); n != 2 {
				return fmt.Errorf("%s trusts %d roots", name, n)
			}
			return nil
		})
	}
	w.talk(pods)
	// A pod that comes in between gets a certificate of the old root.
	pods["shop/cart-2"] = w.peer("shop", "cart-2", "cart", nil)
	w.talk(pods)
	// The leader dies; another one goes on.
	w.killLeader()
	var now *identity.Status
	w.eventually(func() error {
		now = w.status(2)
		if now.Roots[1].Phase != identity.PhaseSigning {
			return fmt.Errorf("the new root is %s", now.Roots[1].Phase)
		}
		return nil
	})
	if now.Roots[0].ID != first.Roots[0].ID || now.Roots[0].Phase != identity.PhaseRetiring || now.Roots[0].Withdrawn.IsZero() {
		t.Errorf("the old root: %+v", now.Roots[0])
	}
	pods["mail/post-2"] = w.peer("mail", "post-2", "post", nil)
	if a, b := w.has("shop", "cart-1").leaf(t), w.has("mail", "post-2").leaf(t); slices.Equal(a.AuthorityKeyId, b.AuthorityKeyId) {
		t.Error("a new pod has a certificate of the old root")
	}
	w.talk(pods)
}

// verifies checks that a pod has the identity that it should have, in a chain that leads to
// what is mounted beside it.
func (w *world) verifies(ns, pod, account string) {
	w.t.Helper()
	h := w.has(ns, pod)
	leaf := h.leaf(w.t)
	td := spiffeid.RequireTrustDomainFromString("local.acme.example")
	bundle, err := x509bundle.Parse(td, []byte(strings.Join(h.Trust, "")))
	w.must(err)
	id, _, err := x509svid.Verify([]*x509.Certificate{leaf}, bundle)
	if want := config.ID(td.Name(), ns, account); err != nil || id.String() != want {
		w.t.Errorf("%s/%s is %s, want %s: %v", ns, pod, id, want, err)
	}
	if life := leaf.NotAfter.Sub(leaf.NotBefore); life != 24*time.Hour {
		w.t.Errorf("its certificate holds %s", life)
	}
}

// talk lets each pod connect to each other one. A connection that is slow is tried again, one
// that is refused is not.
func (w *world) talk(pods map[string]string) {
	w.t.Helper()
	for from := range pods {
		for to, ip := range pods {
			ns, pod, _ := strings.Cut(from, "/")
			var b []byte
			w.eventually(func() (err error) {
				if b, err = w.ask(ns, pod, "dial", "to", ip); err == nil {
					return nil
				}
				err = fmt.Errorf("%s to %s: %w: %s", from, to, err, b)
				if text := err.Error(); strings.Contains(text, "x509") || strings.Contains(text, "tls: ") {
					w.t.Fatal(err)
				}
				return err
			})
			var got struct{ They, Me string }
			w.must(json.Unmarshal(b, &got))
			if got.Me != id(from) || got.They != id(to) {
				w.t.Errorf("%s (as %s) reached %s (as %s)", from, got.Me, to, got.They)
			}
		}
	}
}

// id is the identity of a pod of the test, whose name is that of its account and a number.
func id(pod string) string {
	ns, name, _ := strings.Cut(pod, "/")
	account, _, _ := strings.Cut(name, "-")
	return config.ID("local.acme.example", ns, account)
}

// denied starts a pod that asks for another name, and sees that it gets none.
func (w *world) denied() {
	w.t.Helper()
	w.start("shop", "greedy-1", "cart", func(c *corev1.PodCertificateProjection) {
		c.UserAnnotations = map[string]string{"strata.dev/name": "admin"}
	})
	w.eventually(func() error {
		events, err := w.client.CoreV1().Events("shop").List(w.t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=greedy-1,reason=Denied"})
		if err != nil {
			return err
		}
		if len(events.Items) == 0 {
			return fmt.Errorf("the pod's events do not say that it was denied")
		}
		return nil
	})
	p, err := w.client.CoreV1().Pods("shop").Get(w.t.Context(), "greedy-1", metav1.GetOptions{})
	w.must(err)
	if p.Status.Phase != corev1.PodPending {
		w.t.Errorf("a pod that was denied its identity is %s", p.Status.Phase)
	}
	w.must(w.client.CoreV1().Pods("shop").Delete(w.t.Context(), "greedy-1", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}))
}

// down lets no control plane run for a while. Who has an identity notices nothing, and who
// comes waits.
func (w *world) down(pods map[string]string) {
	w.t.Helper()
	w.scale(0)
	w.start("mail", "late-1", "post", nil)
	w.eventually(func() error {
		events, err := w.client.CoreV1().Events("mail").List(w.t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=late-1,reason=FailedMount"})
		if err == nil && len(events.Items) == 0 {
			err = fmt.Errorf("the pod's events do not say what it waits for")
		}
		return err
	})
	w.talk(pods)
	w.scale(2)
	w.eventually(func() error { _, err := w.ask("mail", "late-1", "has"); return err })
	w.verifies("mail", "late-1", "post")
	w.must(w.client.CoreV1().Pods("mail").Delete(w.t.Context(), "late-1", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}))
}

// scale waits until so many replicas of the control plane run.
func (w *world) scale(replicas int32) {
	w.t.Helper()
	deployments := w.client.AppsV1().Deployments(config.ControlNamespace)
	_, err := deployments.Patch(w.t.Context(), config.ControlAccount, types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas), metav1.PatchOptions{})
	w.must(err)
	w.eventually(func() error {
		d, err := deployments.Get(w.t.Context(), config.ControlAccount, metav1.GetOptions{})
		if err != nil {
			return err
		}
		pods, err := w.client.CoreV1().Pods(config.ControlNamespace).List(w.t.Context(), metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(d.Spec.Selector)})
		if err == nil && (d.Status.ReadyReplicas != replicas || len(pods.Items) != int(replicas)) {
			err = fmt.Errorf("%d replicas of %d are ready, %d pods are there", d.Status.ReadyReplicas, replicas, len(pods.Items))
		}
		return err
	})
}

// status waits until there are so many roots.
func (w *world) status(roots int) *identity.Status {
	w.t.Helper()
	var out *identity.Status
	w.eventually(func() error {
		s, err := identity.ReadStatus(w.t.Context(), w.client)
		if err == nil && len(s.Roots) != roots {
			err = fmt.Errorf("there are %d roots", len(s.Roots))
		}
		out = s
		return err
	})
	return out
}

// killLeader kills the pod that leads and waits until another one does.
func (w *world) killLeader() {
	w.t.Helper()
	leases := w.client.CoordinationV1().Leases(config.ControlNamespace)
	l, err := leases.Get(w.t.Context(), config.ControlLease, metav1.GetOptions{})
	w.must(err)
	old := *l.Spec.HolderIdentity
	w.must(w.client.CoreV1().Pods(config.ControlNamespace).Delete(w.t.Context(), old, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}))
	w.eventually(func() error {
		l, err := leases.Get(w.t.Context(), config.ControlLease, metav1.GetOptions{})
		if err == nil && (l.Spec.HolderIdentity == nil || *l.Spec.HolderIdentity == "" || *l.Spec.HolderIdentity == old) {
			err = fmt.Errorf("nobody has taken the lead of %s", old)
		}
		return err
	})
}
