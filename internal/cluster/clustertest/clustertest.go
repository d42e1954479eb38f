// Package clustertest gives tests a real API server: etcd, kube-apiserver and the garbage
// collector of engines/kubernetes on loopback, without root and nodes. What belongs here
// starts servers for tests; what is tested against them lies beside the code.
package clustertest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/freeport"
	"github.com/stratahq/strata/internal/needs"
)

// Program returns the file of strata-kube in the repository's bin folder. Without it
// the test is skipped, and says so: `make engines` builds it.
func Program(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
			continue
		}
		file := filepath.Join(dir, "bin", "strata-kube")
		if _, err := os.Stat(file); err != nil {
			needs.Skip(t, "there is no %s; `make engines` builds it", file)
		}
		return file
	}
	t.Skip("this test does not run in the repository")
	return ""
}

// Start starts an API server that ends with the test, and returns a kubeconfig file of
// its administrator.
func Start(t *testing.T) string {
	t.Helper()
	file, dir := Program(t), t.TempDir()
	client, peer, api, controllers := freeport.Get(t), freeport.Get(t), freeport.Get(t), freeport.Get(t)
	url := func(p int) string { return fmt.Sprintf("http://127.0.0.1:%d", p) }
	etcd := start(t, dir, file, "etcd", "--data-dir="+filepath.Join(dir, "etcd"), "--log-level=error", "--unsafe-no-fsync",
		"--listen-client-urls="+url(client), "--advertise-client-urls="+url(client),
		"--listen-peer-urls="+url(peer), "--initial-advertise-peer-urls="+url(peer), "--initial-cluster=default="+url(peer))
	key := keyFile(t, dir)
	token := filepath.Join(dir, "tokens.csv")
	write(t, token, "test-token,admin,admin,system:masters\n")
	server := start(t, dir, file, "kube-apiserver", "--etcd-servers="+url(client), "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", api), "--cert-dir="+filepath.Join(dir, "pki"), "--service-cluster-ip-range=10.0.0.0/24",
		"--token-auth-file="+token, "--authorization-mode=RBAC", "--allow-privileged", "--service-account-issuer=https://test", "--endpoint-reconciler-type=none", "--disable-admission-plugins=ServiceAccount",
		"--service-account-key-file="+key, "--service-account-signing-key-file="+key)
	kubeconfig := filepath.Join(dir, "kubeconfig")
	write(t, kubeconfig, fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://127.0.0.1:%d", certificate-authority: %q}}]
users: [{name: test, user: {token: test-token}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
current-context: test
`, api, filepath.Join(dir, "pki", "apiserver.crt")))
	wait(t, dir, fmt.Sprintf("https://127.0.0.1:%d/readyz", api), filepath.Join(dir, "pki", "apiserver.crt"), etcd, server)
	// Objects are deleted in the foreground, which the garbage collector ends.
	collector := start(t, dir, file, "kube-controller-manager", "--kubeconfig="+kubeconfig, "--controllers=garbage-collector-controller", "--leader-elect=false",
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", controllers), "--cert-dir="+filepath.Join(dir, "controllers"))
	wait(t, dir, fmt.Sprintf("https://127.0.0.1:%d/healthz", controllers), filepath.Join(dir, "controllers", "kube-controller-manager.crt"), collector)
	return kubeconfig
}

// program is one that was started. ended is closed when it has ended.
type program struct {
	name  string
	ended <-chan struct{}
}

// wait returns when a server says that it is well. It fails the test with the last words of
// a program, of those that this takes, that has ended, or of the last when it takes too long.
func wait(t *testing.T, dir, url, ca string, programs ...program) {
	t.Helper()
	limit := time.Now().Add(5 * time.Minute)
	for !ready(t.Context(), url, ca) {
		for i, p := range programs {
			ended := false
			select {
			case <-p.ended:
				ended = true
			default:
			}
			if late := time.Now().After(limit) && i == len(programs)-1; ended || late {
				b, err := os.ReadFile(filepath.Join(dir, p.name+".log"))
				t.Fatalf("%s is not there; it has ended: %t; its log: %v\n%s", p.name, ended, err, b[max(0, len(b)-4096):])
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func ready(ctx context.Context, url, ca string) bool {
	b, err := os.ReadFile(ca)
	if err != nil {
		return false
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b)
	tr := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // that is what it is
	tr.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	req.Header.Set("Authorization", "Bearer test-token")
	res, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return false
	}
	return res.Body.Close() == nil && res.StatusCode == http.StatusOK
}

// start starts a program that ends with the test.
func start(t *testing.T, dir, file, component string, args ...string) program {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, component+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(file, append([]string{component}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = log.Close()
	})
	return program{component, ended}
}

// keyFile makes a key for service account tokens.
func keyFile(t *testing.T, dir string) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := pem.Encode(&out, &pem.Block{Type: "EC PRIVATE KEY", Bytes: b}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "service-accounts.key")
	write(t, file, out.String())
	return file
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
