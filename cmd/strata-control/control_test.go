package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"

	"github.com/stratahq/strata/internal/freeport"
	"github.com/stratahq/strata/internal/identity"
	"github.com/stratahq/strata/internal/proxy/config"
)

// address is one on loopback that is free now.
func address(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", freeport.Get(t))
}

// replica is a control plane with a client that is shared, and addresses of its own.
func replica(t *testing.T, client *fake.Clientset, name string) *control {
	t.Helper()
	s, err := parse([]string{"--environment=local", "--platform=acme", "--platform-domain=acme.example", "--name=" + name, "--health-address=" + address(t), "--metrics-address=" + address(t)})
	if err != nil {
		t.Fatal(err)
	}
	s.identity.Interval = 100 * time.Millisecond
	c := &control{settings: s, log: slog.New(slog.DiscardHandler), client: client, metrics: prometheus.NewRegistry(), ready: map[string]func() error{}}
	c.identity, err = identity.New(identity.Deps{Client: client, Log: c.log, Events: &record.FakeRecorder{}, Metrics: c.metrics}, s.identity)
	if err != nil {
		t.Fatal(err)
	}
	c.ready["identity"] = c.identity.Ready
	return c
}

// soon waits until there is no error.
func soon(t *testing.T, f func() error) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Minute)
	for err := f(); err != nil; err = f() {
		if time.Now().After(deadline) {
			t.Fatalf("not within five minutes: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// get asks and wants a status.
func get(client *http.Client, url string, status int) (string, error) {
	r, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != status {
		err = fmt.Errorf("%s: %s: %s", url, r.Status, b)
	}
	return string(b), err
}

func TestServes(t *testing.T) {
	c := replica(t, fake.NewClientset(), "one")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 3)
	for _, run := range []func(context.Context) error{c.serveHealth, c.serveMetrics} {
		go func() { ended <- run(ctx) }()
	}
	health := "http://" + c.settings.health
	soon(t, func() error { _, err := get(http.DefaultClient, health+"/healthz", http.StatusOK); return err })
	if text, err := get(http.DefaultClient, health+"/readyz", http.StatusServiceUnavailable); err != nil || !strings.Contains(text, "identity: ") {
		t.Errorf("ready without roots: %s %v", text, err)
	}
	go func() { ended <- c.identity.Lead(ctx) }()
	soon(t, func() error { _, err := get(http.DefaultClient, health+"/readyz", http.StatusOK); return err })

	// Metrics are for those with an identity that may read them.
	metrics := "https://" + c.settings.metrics + "/metrics"
	ours := &http.Client{Transport: &http.Transport{TLSClientConfig: tlsconfig.MTLSClientConfig(c.identity, c.identity, tlsconfig.AuthorizeMemberOf(c.identity.TrustDomain()))}}
	defer ours.CloseIdleConnections()
	// They may come later than what says that the program is ready.
	var text string
	soon(t, func() (err error) { text, err = get(ours, metrics, http.StatusOK); return err })
	if !strings.Contains(text, `strata_identity_root_not_after_seconds{phase="signing"`) {
		t.Errorf("metrics: %s", text)
	}
	nobody := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer nobody.CloseIdleConnections()
	if text, err := get(nobody, metrics, http.StatusOK); err == nil {
		t.Errorf("somebody without an identity reads metrics:\n%s", text)
	}
	stop()
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestElection lets two replicas stand. One leads; when it ends it gives up the lead after
// its parts have ended, and the other one takes it.
func TestElection(t *testing.T) {
	client := fake.NewClientset()
	holder := func() string {
		l, err := client.CoordinationV1().Leases(config.ControlNamespace).Get(t.Context(), config.ControlLease, metav1.GetOptions{})
		if err != nil || l.Spec.HolderIdentity == nil {
			return ""
		}
		return *l.Spec.HolderIdentity
	}
	var running atomic.Int32
	var held atomic.Bool
	start := func(name string) (context.CancelFunc, chan error) {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		leading := part{name: "test", leads: true, run: func(ctx context.Context) error {
			if n := running.Add(1); n != 1 {
				t.Errorf("%d replicas lead", n)
			}
			<-ctx.Done()
			held.Store(holder() == name)
			running.Add(-1)
			return nil
		}}
		c := replica(t, client, name)
		go func() { ended <- c.elect(ctx, []part{leading}) }()
		return stop, ended
	}
	stopOne, one := start("one")
	soon(t, func() error {
		if holder() != "one" || running.Load() != 1 {
			return errors.New("the first does not lead")
		}
		return nil
	})
	stopTwo, two := start("two")
	stopOne()
	if err := <-one; err != nil {
		t.Error(err)
	}
	if !held.Load() {
		t.Error("the lead was given up before the parts had ended")
	}
	soon(t, func() error {
		if holder() != "two" || running.Load() != 1 {
			return errors.New("the second does not lead")
		}
		return nil
	})
	stopTwo()
	if err := <-two; err != nil {
		t.Error(err)
	}
	if h := holder(); h != "" {
		t.Errorf("%s has ended and holds the lead", h)
	}
}

// TestFailingPart ends the program, so that it is started anew.
func TestFailingPart(t *testing.T) {
	c := replica(t, fake.NewClientset(), "one")
	err := c.elect(t.Context(), []part{{name: "broken", run: func(context.Context) error { return errors.New("no more") }}})
	if err == nil || err.Error() != "broken: no more" {
		t.Errorf("%v", err)
	}
}

func TestArguments(t *testing.T) {
	good := []string{"--environment=local", "--platform=acme", "--platform-domain=acme.example"}
	for arg, says := range map[string]string{
		"--certificate-life=10m":           "certificates cannot hold 10m",
		"--certificate-life=2500h":         "certificates cannot hold 2500h",
		"--certificate-refresh=1":          "renewed after 1",
		"--root-rotation=2":                "replaced after 2",
		"--root-life=48h":                  "too little for an overlap",
		"--environment=":                   "have to be named",
		"--platform-domain=acme.example/x": "cannot be a trust domain",
		"--environment=Prod":               "cannot be a trust domain",
		"nonsense":                         `no argument "nonsense"`,
	} {
		if _, err := parse(append(good[:3:3], arg)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v does not say %q", arg, err, says)
		}
	}
	s, err := parse(append(good[:3:3], "--metrics-readers=spiffe://a/b,spiffe://a/c"))
	if err != nil || len(s.readers) != 2 || s.identity.CertificateLife != 24*time.Hour || s.name == "" {
		t.Errorf("%+v, %v", s, err)
	}
}
