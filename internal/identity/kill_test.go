package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	k8stesting "k8s.io/client-go/testing"
	"pgregory.net/rapid"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/keypair"
	"github.com/stratahq/strata/internal/proxy/config"
)

// errKilled is what a leader sees of its own end.
var errKilled = errors.New("killed")

// mortal is a cluster whose client dies at a call: before the API server gets it, or
// after it has carried it out and before the client hears of it.
type mortal struct {
	*fake.Clientset
	tracker k8stesting.ObjectTracker
	// left is how many calls get through before the end; negative: all.
	left int
	// after says that the last call is carried out.
	after bool
}

// runningPod is a pod that has a certificate.
func runningPod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart-1"},
		Spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "identity", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{{PodCertificate: &corev1.PodCertificateProjection{SignerName: config.Signer}}},
		}}}}},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}},
	}
}

// aside runs f as somebody whom nothing kills.
func (m *mortal) aside(f func()) {
	left := m.left
	m.left = -1
	f()
	m.left = left
}

func newMortal() *mortal {
	// The tracker of fake.NewClientset knows of managed fields, which costs half of the
	// tests' time, and nothing here looks at them.
	m := &mortal{Clientset: &fake.Clientset{}, tracker: k8stesting.NewObjectTracker(scheme.Scheme, scheme.Codecs.UniversalDecoder()), left: -1}
	m.AddReactor("*", "*", k8stesting.ObjectReaction(m.tracker))
	// Somebody has certificates.
	if err := m.tracker.Add(runningPod()); err != nil {
		panic(err)
	}
	m.PrependReactor("*", "*", func(action k8stesting.Action) (bool, runtime.Object, error) {
		switch {
		case m.left < 0:
			return false, nil, nil
		case m.left > 0:
			m.left--
			return false, nil, nil
		case m.after:
			m.after = false
			if _, _, err := k8stesting.ObjectReaction(m.tracker)(action); err != nil {
				return true, nil, err
			}
		}
		return true, nil, errKilled
	})
	return m
}

// fleet is what pods hold: certificates, and bundles that are as old as a kubelet may
// let them get.
type fleet struct {
	t     tb
	td    spiffeid.TrustDomain
	clock *clock
	delay time.Duration
	// leaves are the certificates that hold longest, by root: those that end sooner are
	// verified the same.
	leaves  map[string]*x509.Certificate
	bundles []bundleAt
	// hurried are roots that somebody took out of the bundle before they signed.
	hurried map[string]hurry
}

// hurry is a root that signs without an overlap once the one before it cannot sign any
// more: then some pods trust its certificates late, and nobody else could give any.
type hurry struct {
	root *x509.Certificate
	from time.Time
}

// lose remembers that the root which is to sign next is taken out of the bundle.
func (f *fleet) lose(a *Authority) {
	k := a.known.Load()
	if k == nil {
		return
	}
	if signing, next := k.state.in(PhaseSigning), k.state.in(PhasePublished); signing != nil && next != nil {
		if f.hurried == nil {
			f.hurried = map[string]hurry{}
		}
		f.hurried[next.id()] = hurry{next.pair.Cert, signing.pair.Cert.NotAfter.Add(-minLife)}
	}
}

type bundleAt struct {
	at time.Time
	*x509bundle.Bundle
}

// see takes over what the cluster tells pods to trust now.
func (f *fleet) see(client kubernetes.Interface) {
	b, err := client.CertificatesV1().ClusterTrustBundles().Get(context.Background(), config.TrustBundle, metav1.GetOptions{})
	if err != nil {
		return // there is none yet
	}
	bundle, err := x509bundle.Parse(f.td, []byte(b.Spec.TrustBundle))
	if err != nil {
		f.t.Fatalf("the bundle: %v", err)
	}
	if n := len(f.bundles); n == 0 || !f.bundles[n-1].Equal(bundle) {
		f.bundles = append(f.bundles, bundleAt{f.clock.at, bundle})
	}
}

// take issues a certificate with what an Authority knows, if it knows enough.
func (f *fleet) take(a *Authority) bool {
	r, err := a.signing()
	if err != nil {
		return false
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatalf("%v", err)
	}
	id, err := spiffeid.FromPath(f.td, "/ns/shop/sa/cart")
	if err != nil {
		f.t.Fatalf("%v", err)
	}
	c, err := issue(r.pair, id, &k.PublicKey, f.clock.at, min(a.options.CertificateLife, r.Longest))
	if err != nil {
		return false
	}
	if have := f.leaves[r.id()]; have == nil || c.NotAfter.After(have.NotAfter) {
		if f.leaves == nil {
			f.leaves = map[string]*x509.Certificate{}
		}
		f.leaves[r.id()] = c
	}
	return true
}

// check verifies each certificate that holds with each bundle that a pod may have.
func (f *fleet) check() {
	maps.DeleteFunc(f.leaves, func(_ string, c *x509.Certificate) bool { return f.clock.at.After(c.NotAfter) })
	for i, b := range f.bundles {
		// A bundle is in some pod until delay after the next one came.
		if i+1 < len(f.bundles) && f.clock.at.After(f.bundles[i+1].at.Add(f.delay)) {
			continue
		}
		for id, c := range f.leaves {
			if h, ok := f.hurried[id]; ok && !b.HasX509Authority(h.root) && !c.NotBefore.Add(leafBackdate).Before(h.from) {
				continue
			}
			if _, _, err := x509svid.Verify([]*x509.Certificate{c}, b, x509svid.WithTime(f.clock.at)); err != nil {
				f.t.Fatalf("at %s a pod with the bundle of %s does not trust the certificate of %s: %v", f.clock.at, b.at, c.NotBefore, err)
			}
		}
	}
}

// TestKilledAnywhere takes a whole rotation, and kills the leader at each of its calls,
// before and after it is carried out. The one that follows goes on; pods trust each
// other all the time, and the rotation comes to its end.
func TestKilledAnywhere(t *testing.T) {
	for n := 0; ; n++ {
		for _, after := range []bool{false, true} {
			if !killedAt(t, n, after) {
				if n < 20 {
					t.Fatalf("a rotation took %d calls: the test does not see them", n)
				}
				return
			}
		}
	}
}

// killedAt reports whether the rotation had an nth call.
func killedAt(t *testing.T, n int, after bool) bool {
	t.Helper()
	m, c := newMortal(), newClock()
	o := Options{Overlap: 30 * time.Minute, CertificateLife: time.Hour}
	a := authority(t, m, c, o)
	f := &fleet{t: t, td: a.td, clock: c, delay: 25 * time.Minute}
	m.left, m.after = n, after
	killed := false
	var first string
	for minute := 0; minute < 150; minute += 10 {
		if minute == 30 {
			m.aside(func() {
				first = status(t, m).Roots[0].ID
				if err := RequestRotation(t.Context(), m, "now"); err != nil {
					t.Fatal(err)
				}
			})
		}
		if err := a.tend(t.Context()); err != nil {
			if !errors.Is(err, errKilled) || killed {
				t.Fatalf("killed at call %d (after: %v), minute %d: %v", n, after, minute, err)
			}
			killed, m.left = true, -1
			f.see(m)
			f.take(a) // the dead one's last words
			f.check()
			a = authority(t, m, c, o)
			if err := a.tend(t.Context()); err != nil {
				t.Fatalf("killed at call %d (after: %v), minute %d: the next leader: %v", n, after, minute, err)
			}
		}
		m.aside(func() { f.see(m) })
		if !f.take(a) {
			t.Fatalf("killed at call %d (after: %v): no certificate in minute %d", n, after, minute)
		}
		f.check()
		c.at = c.at.Add(10 * time.Minute)
	}
	m.left = -1
	if s := status(t, m); len(s.Roots) != 1 || s.Roots[0].ID == first || s.Roots[0].Phase != PhaseSigning {
		t.Fatalf("killed at call %d (after: %v): the rotation does not end: %+v", n, after, s)
	}
	return killed
}

// TestPodsTrustEachOther does what may happen to a control plane in any order, and
// verifies every certificate that holds with every bundle that a pod may have.
func TestPodsTrustEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, c := newMortal(), newClock()
		lives := []time.Duration{time.Hour, 3 * time.Hour, 24 * time.Hour}
		options := func() Options {
			return Options{Overlap: 30 * time.Minute, CertificateLife: rapid.SampledFrom(lives).Draw(t, "life"), RootLife: 20 * 24 * time.Hour}
		}
		o := options()
		a := authority(t, m, c, o)
		f := &fleet{t: t, td: a.td, clock: c, delay: 29 * time.Minute}
		restart := func() {
			// The last one may sign for moments after it was replaced.
			f.take(a)
			a = authority(t, m, c, o)
		}
		tend := func() {
			if err := a.tend(context.Background()); err != nil && !errors.Is(err, errKilled) {
				t.Fatalf("%v", err)
			}
			if m.left == 0 {
				m.left = -1
				f.see(m)
				restart()
				return
			}
			m.left = -1
			f.see(m)
		}
		tend()
		requests := 0
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) { f.check() },
			"time passes": func(t *rapid.T) {
				c.at = c.at.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "minutes")) * time.Minute)
				tend()
			},
			"nobody is there": func(t *rapid.T) {
				c.at = c.at.Add(time.Duration(rapid.IntRange(1, 100).Draw(t, "hours")) * time.Hour)
				restart()
				tend()
			},
			"a pod comes": func(*rapid.T) { f.take(a) },
			"a rotation":  func(*rapid.T) { requests++; _ = RequestRotation(context.Background(), m, fmt.Sprint(requests)); tend() },
			"a kill": func(t *rapid.T) {
				m.left, m.after = rapid.IntRange(0, 12).Draw(t, "calls"), rapid.Bool().Draw(t, "after")
				tend()
			},
			"other options": func(*rapid.T) { o = options(); restart(); tend() },
			"the Secret goes": func(*rapid.T) {
				_ = m.CoreV1().Secrets(cluster.SecretsNamespace).Delete(context.Background(), cluster.SecretName(a.path), metav1.DeleteOptions{})
				tend()
			},
			"the Secret goes while nobody is there": func(*rapid.T) {
				_ = m.CoreV1().Secrets(cluster.SecretsNamespace).Delete(context.Background(), cluster.SecretName(a.path), metav1.DeleteOptions{})
				restart()
				tend()
			},
			"the new root is taken out of the bundle": func(*rapid.T) { f.lose(a); unpublish(m, a); f.see(m) },
		})
	})
}

// unpublish takes roots that do not sign yet out of the bundle.
func unpublish(client kubernetes.Interface, a *Authority) {
	b, trusted, err := readBundle(context.Background(), client)
	if err != nil || b == nil || a.known.Load() == nil {
		return
	}
	s := a.known.Load().state.clone()
	s.Roots = nil
	for _, c := range trusted {
		keep := root{pair: keypair.Pair{Cert: c}}
		if p := a.known.Load().state.in(PhasePublished); p == nil || p.id() != keep.id() {
			s.Roots = append(s.Roots, keep)
		}
	}
	_ = a.publish(context.Background(), s, b)
}
