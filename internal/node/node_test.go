package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestNode looks at one node from its making to its end. Making one takes seconds, so
// its parts share it, and come one after the other.
func TestNode(t *testing.T) {
	before := machineState(t)
	t.Setenv("STRATA_NODES", nodesFolder(t))
	n := up(t, options(t, "test-one"))
	for _, part := range []struct {
		name string
		run  func(*testing.T, *running)
	}{
		{"guarded", testGuarded},
		{"secrets are encrypted", testEncrypted},
		{"audited", testAudited},
		{"names", testNames},
		{"policies", testPolicies},
		{"volumes", testVolumes},
		{"certificates", testCertificates},
		{"components", testComponents},
		{"init process", testInit},
		{"keeper", testKeeper},
		{"two", testTwo},
		{"stop and start", testStop},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(t, n) }) {
			return // what follows would only say so again
		}
	}
	c := n.Config
	if err := Purge(t.Context(), c.Dir); err != nil {
		t.Fatal(err)
	}
	if left := c.left(t); left != "" {
		t.Errorf("left after the node was purged:\n%s", left)
	}
	if after := machineState(t); after != before {
		t.Errorf("before the node:\n%s\nafter it:\n%s", before, after)
	}
}

// testGuarded: nobody gets in who may not, and nothing listens where others could.
func testGuarded(t *testing.T, n *running) {
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer insecure.CloseIdleConnections()
	for _, url := range []string{
		n.Server() + "/api/v1/namespaces", n.Server() + "/healthz", n.Server() + "/version",
		"https://" + n.Addr().String() + ":10250/pods", "https://" + n.Addr().String() + ":4443/metrics",
	} {
		code := 0
		// A node is ready when it runs pods; the metrics server may need a moment more.
		eventually(t, func() error {
			r, err := insecure.Get(url)
			if err != nil {
				return err
			}
			code = r.StatusCode
			return r.Body.Close()
		})
		if code != http.StatusUnauthorized && code != http.StatusForbidden {
			t.Errorf("%s without a certificate: %d", url, code)
		}
	}
	// A component may do what it must and no more.
	if out := n.as(t, "scheduler", "/api/v1/secrets"); !strings.Contains(out, "forbidden") {
		t.Errorf("the scheduler reads secrets: %s", out)
	}
	if out := n.as(t, "kubelet", "/api/v1/secrets"); !strings.Contains(out, "forbidden") {
		t.Errorf("kubelet lists secrets: %s", out)
	}
	// Only one keeper at a time.
	if err := Run(t.Context(), n.Dir, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrRunning) {
		t.Errorf("a second keeper: %v", err)
	}
	for where, listeners := range map[string]string{"the node": n.within(t, "ss", "-Hlntu"), "the machine": output(t, "ss", "-Hlntup")} {
		for _, line := range strings.Split(strings.TrimSpace(listeners), "\n") {
			f := strings.Fields(line)
			if where == "the machine" && !strings.Contains(line, fmt.Sprintf("pid=%d,", Keeper(n.Dir))) {
				continue
			}
			if !strings.HasPrefix(f[4], "127.") && !strings.HasPrefix(f[4], n.Addr().String()+":") {
				t.Errorf("in %s something listens at %s: %s", where, f[4], line)
			}
		}
	}
	if out := output(t, "ls", "-lR", n.path("pki")); regexp.MustCompile(`-rw.{0,2}r..r.. .*\.(key|pem|kubeconfig|yaml)`).MatchString(out) {
		t.Errorf("others may read keys:\n%s", out)
	}
}

// testEncrypted: what a secret says is nowhere in etcd's files.
func testEncrypted(t *testing.T, n *running) {
	const planted = "planted-6f1c2b-value"
	n.namespace(t, "encrypted", nil)
	meta := metav1.ObjectMeta{Namespace: "encrypted", Name: "s"}
	if _, err := n.Typed.CoreV1().Secrets("encrypted").Create(t.Context(), &corev1.Secret{ObjectMeta: meta, StringData: map[string]string{"k": planted}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// That this would find it is shown by what is not a secret.
	if _, err := n.Typed.CoreV1().ConfigMaps("encrypted").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"k": planted + "-in-the-open"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	secret, open := 0, 0
	err := filepath.WalkDir(n.path("etcd"), func(file string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(file)
		open += bytes.Count(b, []byte(planted+"-in-the-open"))
		secret += bytes.Count(b, []byte(planted))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if open == 0 || secret != open {
		t.Errorf("etcd's files have the config map's value %d times and the secret's %d times", open, secret-open)
	}
}

// testAudited: who did something to what is on record, and no secret's value is.
func testAudited(t *testing.T, n *running) {
	b, err := os.ReadFile(n.path("log", "audit", "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`"verb":"create","user":\{"username":"strata:admin".*"resource":"secrets","namespace":"encrypted"`).Match(b) {
		t.Error("the making of a secret is not in the audit log")
	}
	if bytes.Contains(b, []byte("planted-6f1c2b")) {
		t.Error("a secret's value is in the audit log")
	}
}

// testNames: pods find services and what the machine finds.
func testNames(t *testing.T, n *running) {
	n.namespace(t, "names", nil)
	n.create(t, pod("names", "asks", nil, "tcp:80"))
	// A node is ready when it runs pods; those who answer for names may need a moment more.
	for _, name := range []string{"kubernetes.default.svc.cluster.local", "metrics-server.kube-system"} {
		eventually(t, func() error {
			out, err := n.ask(t, "names", "asks", "lookup", "name", name)
			if err == nil && out != "ok" {
				err = fmt.Errorf("%s: %s", name, out)
			}
			return err
		})
	}
	if out, err := n.ask(t, "names", "asks", "lookup", "name", "nobody.names"); err != nil || out == "ok" {
		t.Errorf("nobody's name: %s %v", out, err)
	}
	eventually(t, func() error {
		out, err := n.ask(t, "names", "asks", "dial", "network", "tcp", "address", "kubernetes.default:443")
		if err == nil && (strings.Contains(out, "lookup") || strings.Contains(out, "refused")) {
			err = fmt.Errorf("the API server from a pod: %s", out)
		}
		return err
	})
}

// as asks the API server as one of the node's identities.
func (n *running) as(t *testing.T, identity, path string) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(n.cert(identity), n.key(identity))
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}}}}
	defer c.CloseIdleConnections()
	r, err := c.Get(n.Server() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	b, err := exec.CommandContext(context.Background(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, b)
	}
	return string(b)
}

// within runs a program of the machine in the node's network and processes.
func (n *running) within(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, "nsenter", append([]string{"-t", fmt.Sprint(n.initPID(t)), "-n", "-m", "-p"}, args...)...)
}

// initPID is the machine's number of the node's process 1.
func (n *running) initPID(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(n.initFile())
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(b), &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}
