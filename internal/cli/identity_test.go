package cli_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"

	"github.com/stratahq/strata/internal/cli"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/cluster/clustertest"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/identity"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/webca"
)

// TestIdentity asks for a rotation and looks on, with a real API server and a real signer.
func TestIdentity(t *testing.T) {
	t.Parallel()
	dir, kubeconfig := t.TempDir(), clustertest.Start(t)
	run := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := cli.Run(t.Context(), "test", append([]string{"-C", dir}, args...), nil, &out, &errs); code != want {
			t.Fatalf("strata %s: exit %d, want %d: %s%s", strings.Join(args, " "), code, want, out.String(), errs.String())
		}
		return out.String() + errs.String()
	}
	run(cli.ExitOK, "init", "acme", "--domain", "acme.example")
	dir = filepath.Join(dir, "acme")
	file := filepath.Join(dir, "environments", "local.yaml")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(b), "spec:\n", "spec:\n  cluster: {existing: {kubeconfig: "+kubeconfig+"}}\n", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run(cli.ExitError, "identity", "status"); !strings.Contains(out, "no strata-control has run") {
		t.Errorf("without a signer it says:\n%s", out)
	}

	c, err := cluster.Open(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, ns := range []string{config.ControlNamespace, cluster.SecretsNamespace} {
		if _, err := c.Typed.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	// lead runs a signer until what it returns is called. The channel is closed when it has
	// ended, by itself too.
	lead := func(overlap time.Duration) (*identity.Authority, <-chan struct{}, func()) {
		t.Helper()
		a, err := identity.New(identity.Deps{Client: c.Typed, Log: slog.New(slog.DiscardHandler), Events: &record.FakeRecorder{}},
			identity.Options{Platform: "acme", Environment: "local", Domain: "acme.example", Interval: 100 * time.Millisecond, Overlap: overlap})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if err := a.Lead(ctx); err != nil {
				t.Error(err)
			}
		}()
		end := func() {
			stop()
			<-ended
		}
		t.Cleanup(end)
		return a, ended, end
	}
	a, ended, end := lead(time.Hour)
	// roots waits until there are so many.
	roots := func(want int) (phases []string) {
		t.Helper()
		for {
			var doc struct {
				Version, TrustDomain, Leader string
				Roots                        []struct {
					Phase   string
					Trusted bool
				}
			}
			if a.Ready() == nil {
				if err := json.Unmarshal([]byte(run(cli.ExitOK, "identity", "status", "local", "-o", "json")), &doc); err != nil {
					t.Fatal(err)
				}
			}
			if len(doc.Roots) == want && doc.Roots[want-1].Trusted {
				if doc.Version != "1" || doc.TrustDomain != "local.acme.example" {
					t.Errorf("%+v", doc)
				}
				for _, r := range doc.Roots {
					phases = append(phases, r.Phase)
				}
				return phases
			}
			select {
			case <-ended:
				t.Fatalf("the signer has ended, and there are no %d roots: %+v", want, doc)
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	if got := roots(1); got[0] != "signing" {
		t.Errorf("the first root is %s", got)
	}
	if out := run(cli.ExitOK, "identity", "rotate"); !strings.Contains(out, "A new root of local.acme.example is asked for") || !strings.Contains(out, "No strata-control leads") {
		t.Errorf("rotate says:\n%s", out)
	}
	signing := ids(t, c)[0]
	if got := roots(2); got[0] != "signing" || got[1] != "published" {
		t.Errorf("roots are %s", got)
	}
	if out := run(cli.ExitOK, "identity", "rotate", "local"); !strings.Contains(out, "under way already") {
		t.Errorf("rotate says:\n%s", out)
	}
	if out := run(cli.ExitError, "identity", "withdraw", "local", signing); !strings.Contains(out, "is signing, and only one that retires") {
		t.Errorf("withdraw says:\n%s", out)
	}
	out := run(cli.ExitOK, "identity", "status")
	for _, want := range []string{"local.acme.example", "signing", "replaced on", "published", "signs in ", "Nobody signs"} {
		if !strings.Contains(out, want) {
			t.Errorf("status does not say %q:\n%s", want, out)
		}
	}
	end()
	_, ended, _ = lead(time.Millisecond)
	for phases := roots(2); phases[0] != "retiring"; phases = roots(2) {
		time.Sleep(100 * time.Millisecond)
	}
	if out := run(cli.ExitError, "identity", "withdraw", signing); !strings.Contains(out, "no terminal to ask on") {
		t.Errorf("withdraw does not ask:\n%s", out)
	}
	run(cli.ExitOK, "identity", "withdraw", signing, "--yes")
	if got := roots(1); got[0] != "signing" || ids(t, c)[0] == signing {
		t.Errorf("the root is still there: %s", got)
	}
	now := metav1.NewMicroTime(time.Now())
	if _, err := c.Typed.CoordinationV1().Leases(config.ControlNamespace).Create(t.Context(), &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: config.ControlLease},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: new("strata-control-0"), RenewTime: &now, LeaseDurationSeconds: new(int32(3600))},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if out := run(cli.ExitOK, "identity", "status"); !strings.Contains(out, "Signed by strata-control-0.") {
		t.Errorf("status does not say who signs:\n%s", out)
	}

	if out := run(cli.ExitError, "identity", "ca"); !strings.Contains(out, "plain HTTP") || !strings.Contains(out, "tls: platform-ca") {
		t.Errorf("without TLS it says:\n%s", out)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(text, "tls: disabled", "tls: platform-ca", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run(cli.ExitError, "identity", "ca"); !strings.Contains(out, "local: the cluster has no authority") {
		t.Errorf("without an authority it says:\n%s", out)
	}
	if out := run(cli.ExitOK, "identity", "status"); strings.Contains(out, "CA OF URLS") {
		t.Errorf("without an authority it says:\n%s", out)
	}
	certify(t, c)
	var stdout, stderr bytes.Buffer
	if code := cli.Run(t.Context(), "test", []string{"-C", dir, "identity", "ca", "local"}, nil, &stdout, &stderr); code != cli.ExitOK || stderr.Len() > 0 {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	block, rest := pem.Decode(stdout.Bytes())
	if block == nil || len(rest) > 0 || !bytes.HasPrefix(stdout.Bytes(), []byte("-----BEGIN")) {
		t.Fatalf("it is more than a certificate:\n%s", stdout.String())
	}
	if x, err := x509.ParseCertificate(block.Bytes); err != nil || !x.IsCA || x.PermittedDNSDomains[0] != "acme.localhost" {
		t.Errorf("%+v, %v", x, err)
	}
	out = run(cli.ExitOK, "identity", "status")
	if !strings.Contains(out, "CA OF URLS") || !strings.Contains(out, "acme.localhost, *.acme.localhost") {
		t.Errorf("status says:\n%s", out)
	}
	var doc struct{ Web *webca.Status }
	if err := json.Unmarshal([]byte(run(cli.ExitOK, "identity", "status", "-o", "json")), &doc); err != nil || doc.Web == nil || len(doc.Web.Certificates) != 1 {
		t.Errorf("%+v, %v", doc.Web, err)
	}
}

// certify gives a gateway a certificate of the platform's authority.
func certify(t *testing.T, c *cluster.Client) {
	t.Helper()
	if _, err := c.Typed.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: kube.GatewayNamespace}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	ca, err := webca.New(webca.Deps{Client: c.Typed, Log: slog.New(slog.DiscardHandler), Events: &record.FakeRecorder{}},
		webca.Options{Platform: "acme", Environment: "local", Namespace: kube.GatewayNamespace, Domains: []string{"acme.localhost"}, Interval: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ca.Want([]webca.Want{{Gateway: types.NamespacedName{Namespace: kube.GatewayNamespace, Name: "public"}, UID: "1", Secret: "public-tls", Domain: "acme.localhost"}})
	ctx, stop := context.WithCancel(t.Context())
	led := make(chan error, 1)
	go func() { led <- ca.Lead(ctx) }()
	for {
		if _, s, err := webca.Read(ctx, c.Typed, kube.GatewayNamespace); err == nil && len(s.Certificates) == 1 {
			break
		}
		select {
		case err := <-led:
			t.Fatalf("there is no certificate, and who makes it has ended: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
	stop()
	if err := <-led; err != nil {
		t.Error(err)
	}
}

// ids are the roots that pods trust.
func ids(t *testing.T, c *cluster.Client) []string {
	t.Helper()
	out, err := identity.Trusted(t.Context(), c.Typed)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
