package identity

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/proxy/config"
)

// clock is a clock that tests set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// discard is an event recorder that keeps nothing.
func discard() record.EventRecorder { return &record.FakeRecorder{} }

func newClock() *clock { return &clock{time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)} }

// tb is a test, of package testing or rapid.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

// authority returns an Authority as it is after its program has started.
func authority(t tb, client kubernetes.Interface, c *clock, o Options) *Authority {
	t.Helper()
	o.Platform, o.Environment, o.Domain = "acme", "local", "acme.example"
	a, err := New(Deps{Client: client, Log: slog.New(slog.DiscardHandler), Events: discard()}, o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	a.now = c.now
	return a
}

// status reads what people are told.
func status(t tb, client kubernetes.Interface) *Status {
	t.Helper()
	s, err := ReadStatus(context.Background(), client)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return s
}

func phases(s *Status) string {
	out := ""
	for _, r := range s.Roots {
		out += string(r.Phase) + " "
	}
	return out
}

func TestRotation(t *testing.T) {
	client, c := fake.NewClientset(), newClock()
	a := authority(t, client, c, Options{})
	tend := func(want string) {
		t.Helper()
		if err := a.tend(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := phases(status(t, client)); got != want {
			t.Fatalf("at %s: roots are %s, want %s", c.at, got, want)
		}
	}
	if a.Ready() == nil {
		t.Error("ready without roots")
	}
	tend("signing ")
	if err := a.Ready(); err != nil {
		t.Error(err)
	}
	first := status(t, client).Roots[0]
	if err := RequestRotation(t.Context(), client, "please"); err != nil {
		t.Fatal(err)
	}
	tend("signing published ")
	c.at = c.at.Add(29 * time.Minute)
	tend("signing published ")
	c.at = c.at.Add(time.Minute)
	tend("retiring signing ")
	c.at = c.at.Add(24*time.Hour + 9*time.Minute)
	tend("retiring signing ")
	c.at = c.at.Add(time.Minute)
	tend("signing ")
	if s := status(t, client); s.Roots[0].ID == first.ID || s.Handled != "please" {
		t.Errorf("the old root is left: %+v", s)
	}
	// Its time comes by itself, after two thirds of a year.
	c.at = c.at.Add(242 * 24 * time.Hour)
	tend("signing ")
	c.at = c.at.Add(24 * time.Hour)
	tend("signing published ")
}

// TestWithdraw lets people take a root out before its certificates have ended: one that
// retires, and no other.
func TestWithdraw(t *testing.T) {
	client, c := fake.NewClientset(), newClock()
	a := authority(t, client, c, Options{})
	tend := func(want string) []RootStatus {
		t.Helper()
		if err := a.tend(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := status(t, client)
		if got := phases(s); got != want {
			t.Fatalf("roots are %s, want %s", got, want)
		}
		return s.Roots
	}
	requests := 0
	withdraw := func(id string) {
		t.Helper()
		requests++
		if err := RequestWithdrawal(t.Context(), client, id, fmt.Sprint(requests)); err != nil {
			t.Fatal(err)
		}
	}
	withdraw(tend("signing ")[0].ID)
	tend("signing ")
	if err := RequestRotation(t.Context(), client, "now"); err != nil {
		t.Fatal(err)
	}
	old := tend("signing published ")[0].ID
	withdraw(old)
	tend("signing published ")
	c.at = c.at.Add(time.Hour)
	// What was asked for too early does not count later.
	tend("retiring signing ")
	tend("retiring signing ")
	withdraw(old)
	tend("signing ")
	trusted, err := Trusted(t.Context(), client)
	if err != nil || len(trusted) != 1 || trusted[0] == old {
		t.Errorf("pods trust %s, %v", trusted, err)
	}
}

// TestLostRoots loses the Secret while nobody leads. Who runs goes on trusting and being
// trusted; where nobody runs, as after an environment was removed, nobody waits.
func TestLostRoots(t *testing.T) {
	for name, k := range map[string]struct {
		pod  func(*corev1.Pod)
		want string
	}{
		"a pod runs": {func(*corev1.Pod) {}, "retiring published "},
		"a sidecar runs": {func(p *corev1.Pod) {
			p.Status.InitContainerStatuses, p.Status.ContainerStatuses = p.Status.ContainerStatuses, nil
		}, "retiring published "},
		"a pod waits": {func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}
		}, "signing "},
		"no pod is involved": {func(p *corev1.Pod) { p.Spec.Volumes = nil }, "signing "},
	} {
		t.Run(name, func(t *testing.T) {
			pod := runningPod()
			k.pod(pod)
			client, c := fake.NewClientset(pod), newClock()
			a := authority(t, client, c, Options{})
			if err := a.tend(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := client.CoreV1().Secrets(cluster.SecretsNamespace).Delete(t.Context(), cluster.SecretName(a.path), metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			if err := authority(t, client, c, Options{}).tend(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := phases(status(t, client)); got != k.want {
				t.Errorf("roots are %s, want %s", got, k.want)
			}
			trusted, err := Trusted(t.Context(), client)
			if err != nil || len(trusted) != len(status(t, client).Roots) {
				t.Errorf("pods trust %s, %v", trusted, err)
			}
		})
	}
}

// TestStatusIsForPeople lets the status fail: roots live on without it.
func TestStatusIsForPeople(t *testing.T) {
	client, c := fake.NewClientset(), newClock()
	a := authority(t, client, c, Options{})
	tend := func() error {
		var err error
		for range 5 { // an error ends a turn, the next one goes on
			err = a.tend(t.Context())
		}
		return err
	}
	if err := tend(); err != nil {
		t.Fatal(err)
	}
	client.PrependReactor("*", "configmaps", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewInternalError(errors.New("no status"))
	})
	c.at = c.at.Add(244 * 24 * time.Hour)
	if err := tend(); err == nil || !strings.Contains(err.Error(), "no status") {
		t.Errorf("nobody hears of it: %v", err)
	}
	c.at = c.at.Add(time.Hour)
	_ = tend()
	roots := a.known.Load().state.Roots
	if len(roots) != 2 || roots[1].Phase != PhaseSigning {
		t.Errorf("the rotation stands still: %+v", len(roots))
	}
}

func TestOwnIdentity(t *testing.T) {
	client, c := fake.NewClientset(), newClock()
	a := authority(t, client, c, Options{})
	if _, err := a.GetX509SVID(); err == nil {
		t.Fatal("an identity without roots")
	}
	if err := a.tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := a.GetX509SVID()
	if err != nil {
		t.Fatal(err)
	}
	if want := config.ID("local.acme.example", "strata-system", "strata-control"); s.ID.String() != want {
		t.Errorf("ID %s, want %s", s.ID, want)
	}
	id, _, err := x509svid.Verify(s.Certificates, a, x509svid.WithTime(c.at))
	if err != nil || id != s.ID {
		t.Errorf("it does not verify: %s, %v", id, err)
	}
	leaf := s.Certificates[0]
	if leaf.IsCA || leaf.KeyUsage != x509.KeyUsageDigitalSignature || len(leaf.URIs) != 1 || len(leaf.Subject.Names) != 0 {
		t.Errorf("the leaf is no X.509-SVID: %+v", leaf)
	}
	again, err := a.GetX509SVID()
	if err != nil || again != s {
		t.Errorf("a new identity without need: %v", err)
	}
	c.at = c.at.Add(12 * time.Hour)
	if again, err = a.GetX509SVID(); err != nil || again == s {
		t.Errorf("no new identity after half of its life: %v", err)
	}
	bundle, err := client.CertificatesV1().ClusterTrustBundles().Get(t.Context(), config.TrustBundle, metav1.GetOptions{})
	if err != nil || bundle.Spec.SignerName != config.Signer {
		t.Errorf("bundle of %q, %v", bundle.Spec.SignerName, err)
	}
}
