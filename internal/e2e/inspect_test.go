package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stratahq/strata/internal/cluster"
)

// inspected: what people look at the environment with says what is so.
func inspected(l *local, t *testing.T) {
	t.Run("status", func(t *testing.T) { statusTells(l, t) })
	t.Run("logs", func(t *testing.T) { logsFollow(l, t) })
	t.Run("exec", func(t *testing.T) { execRuns(l, t) })
	t.Run("port-forward", func(t *testing.T) { portForwardStays(l, t) })
	t.Run("top", func(t *testing.T) { topMeasures(l, t) })
	t.Run("kubeconfig", func(t *testing.T) { kubeconfigMerges(l, t) })
	t.Run("secret", func(t *testing.T) { secretIsGiven(l, t) })
}

// statusTells wants everything to be ready, and then to hear of what somebody deletes.
func statusTells(l *local, t *testing.T) {
	var doc struct {
		Ready   bool
		Cluster struct{ Access, Version string }
		Units   []struct {
			Address, State string
			Changed        bool
			Pods, Wanted   int
		}
		Routes []struct{ URL string }
	}
	l.well(t)
	if err := json.Unmarshal([]byte(l.stdout(0, "status", "local", "-o", "json")), &doc); err != nil {
		t.Fatal(err)
	}
	if !doc.Ready || doc.Cluster.Access != "running" || doc.Cluster.Version == "" || len(doc.Units) < 20 || len(doc.Routes) == 0 {
		t.Errorf("%+v", doc)
	}
	pods := 0
	for _, u := range doc.Units {
		pods += u.Pods
		if u.State != "ready" || u.Changed || u.Pods != u.Wanted {
			t.Errorf("%+v", u)
		}
	}
	if pods < 8 {
		t.Errorf("%d pods are ready", pods)
	}
	if _, out := l.run("status", "--all"); !strings.Contains(out, "Pod/catalog-") || !strings.Contains(out, "Service/storefront/catalog") {
		t.Errorf("objects are not listed:\n%s", out)
	}
	c := l.client(t)
	if err := c.Typed.CoreV1().Services("storefront").Delete(t.Context(), "catalog", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	out := l.must(2, "status", "local")
	if !strings.Contains(out, "! workloads/catalog") || !strings.Contains(out, "Service/storefront/catalog: it is gone") {
		t.Errorf("the Service is not missed:\n%s", out)
	}
	l.up()
	l.well(t)
}

// well waits until status finds nothing: a probe may have failed, or an autoscaler be at work.
func (l *local) well(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(time.Second) {
		code, out := l.run("status", "local")
		if code == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not everything is ready:\n%s", out)
		}
	}
}

// running is a command that goes on until it is interrupted.
type running struct {
	cmd   *exec.Cmd
	lines chan string
	mu    sync.Mutex
	said  strings.Builder
}

func (l *local) start(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{cmd: l.command(args...), lines: make(chan string, 4096)}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.cmd.Stderr = r
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			r.lines <- s.Text()
		}
	}()
	t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	return r
}

// Write takes what the command says on standard error.
func (r *running) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said.Write(b)
}

// until returns the first line that f likes.
func (r *running) until(t *testing.T, what string, f func(string) bool) string {
	t.Helper()
	limit := time.After(3 * time.Minute)
	for {
		select {
		case line, ok := <-r.lines:
			if ok && f(line) {
				return line
			}
			if ok {
				continue
			}
		case <-limit:
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		t.Fatalf("no line %s; it said: %s", what, r.said.String())
		return ""
	}
}

// interrupt ends the command as Ctrl-C does and wants it to end well.
func (r *running) interrupt(t *testing.T) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for range r.lines { // nobody must wait for us to read
		continue
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v; it said: %s", err, r.said.String())
	}
}

// replace deletes the pods of a workload, and returns when they are gone and others that
// took their place are ready.
func (l *local) replace(t *testing.T, namespace, workload string) {
	t.Helper()
	pods := l.client(t).Typed.CoreV1().Pods(namespace)
	list, err := pods.List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + workload})
	if err != nil || len(list.Items) == 0 {
		t.Fatalf("%d pods of %s: %v", len(list.Items), workload, err)
	}
	now := int64(1)
	for _, p := range list.Items {
		if err := pods.Delete(t.Context(), p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
			t.Fatal(err)
		}
		for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
			if _, err := pods.Get(t.Context(), p.Name, metav1.GetOptions{}); apierrors.IsNotFound(err) {
				break
			}
			if time.Since(began) > 3*time.Minute {
				t.Fatalf("pod %s does not go", p.Name)
			}
		}
	}
	// One that has just been deleted is still ready for a moment; by its UID it is known.
	old := map[types.UID]bool{}
	for _, p := range list.Items {
		old[p.UID] = true
	}
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		now, err := pods.List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + workload})
		if err == nil && slices.ContainsFunc(now.Items, func(p corev1.Pod) bool { return !old[p.UID] && cluster.PodReady(&p) }) {
			return
		}
		if time.Since(began) > 3*time.Minute {
			t.Fatalf("no pod takes the place of those of %s: %v", workload, err)
		}
	}
}

// logsFollow: lines come of whom they are said to come, also of pods that come later.
func logsFollow(l *local, t *testing.T) {
	type line struct{ Pod, Container, Unit string }
	pod := func(text string) string {
		var doc line
		if err := json.Unmarshal([]byte(text), &doc); err != nil || doc.Unit != "local/workloads/catalog" || doc.Container == "" {
			t.Errorf("%v: %s", err, text)
		}
		return doc.Pod
	}
	r := l.start(t, "logs", "local", "catalog", "--follow", "-o", "json")
	before := pod(r.until(t, "of a pod", func(string) bool { return true }))
	l.replace(t, "storefront", "catalog")
	r.until(t, "of another pod", func(s string) bool { return pod(s) != before })
	r.interrupt(t)
	l.settle(t)

	if out := l.stdout(0, "logs", "checkout/db"); !strings.Contains(out, "PostgreSQL") {
		t.Errorf("the database says:\n%s", out)
	}
	if out := l.stdout(0, "logs", "--unit", "workloads/checkout/db", "--tail", "1"); strings.Count(out, "\n") != 1 {
		t.Errorf("not one line:\n%s", out)
	}
	if out := l.must(1, "logs", "catalgo"); !strings.Contains(out, `did you mean "catalog"?`) {
		t.Errorf("%s", out)
	}
	if out := l.must(1, "logs", "checkout", "-c", "nope"); !strings.Contains(out, "main, migrate") {
		t.Errorf("%s", out)
	}
}

// execRuns: a command reads, writes, and ends as it ends.
func execRuns(l *local, t *testing.T) {
	cmd := l.command("exec", "local", "--unit", "workloads/checkout/db", "--", "/bin/sh", "-c", "read x; echo got $x; echo oops >&2; exit 7")
	cmd.Stdin = strings.NewReader("a line\n")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if cmd.ProcessState.ExitCode() != 7 || string(out) != "got a line\n" || errs.String() != "oops\n" {
		t.Errorf("%v: %q, %q", err, out, errs.String())
	}
	if out := l.must(1, "exec", "local", "catalog", "--", "sh"); !strings.Contains(out, `has no program "sh"`) {
		t.Errorf("%s", out)
	}
}

var forwardedTo = regexp.MustCompile(`^127\.0\.0\.1:([0-9]+) -> `)

// portForwardStays: connections are passed on, also after the pod has gone.
func portForwardStays(l *local, t *testing.T) {
	r := l.start(t, "port-forward", "local", "catalog", "0:http")
	port := forwardedTo.FindStringSubmatch(r.until(t, "with the port", forwardedTo.MatchString))[1]
	healthy := func() bool {
		resp, err := browserLike().Get("http://localhost:" + port + "/healthz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err == nil && resp.StatusCode == http.StatusOK
	}
	wait := func(when string) {
		t.Helper()
		for began := time.Now(); !healthy(); time.Sleep(200 * time.Millisecond) {
			if time.Since(began) > 3*time.Minute {
				t.Fatalf("it does not answer %s", when)
			}
		}
	}
	wait("at first")
	l.replace(t, "storefront", "catalog")
	wait("after its pod was replaced")
	r.interrupt(t)
	if healthy() {
		t.Error("it answers after its end")
	}
	l.settle(t)
}

// topMeasures: every unit and every component uses something.
func topMeasures(l *local, t *testing.T) {
	type top struct {
		Rows []struct {
			Name string
			Uses struct{ Memory int64 }
		}
	}
	memory := func(args ...string) map[string]int64 {
		// The cluster measures every 15 seconds, and not at once.
		for range 180 {
			code, out := l.run(append(args, "-o", "json")...)
			var doc top
			if code == 0 && json.Unmarshal([]byte(out), &doc) == nil {
				m := map[string]int64{}
				for _, r := range doc.Rows {
					m[r.Name] = r.Uses.Memory
				}
				if m["workloads/catalog"] > 0 || m["kubelet"] > 0 {
					return m
				}
			}
			time.Sleep(time.Second)
		}
		t.Fatalf("strata %s measures nothing", strings.Join(args, " "))
		return nil
	}
	units := memory("top", "local")
	for _, u := range []string{"workloads/catalog", "workloads/checkout", "workloads/checkout/db"} {
		if _, ok := units[u]; !ok {
			t.Errorf("%s is not measured: %v", u, units)
		}
	}
	parts := memory("top", "local", "--components")
	for _, c := range []string{"keeper", "init", "etcd", "kube-apiserver", "kubelet", "containerd", "agent", "pod workloads/checkout/db"} {
		if parts[c] < 1<<20 {
			t.Errorf("%s uses %d bytes: %v", c, parts[c], parts)
		}
	}
}

// kubeconfigMerges: what it writes is enough to talk to the cluster.
func kubeconfigMerges(l *local, t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	cmd := l.command("kubeconfig", "local", "--merge")
	cmd.Env = append(cmd.Env, "KUBECONFIG="+file)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	c, err := cluster.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Typed.CoreV1().Namespaces().Get(t.Context(), "storefront", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

// secretIsGiven: what was made up can be given, and workloads get it with the next up.
func secretIsGiven(l *local, t *testing.T) {
	const key = "payments/provider-token"
	state := func() string {
		var doc struct {
			Secrets []struct{ Key, State string }
		}
		if err := json.Unmarshal([]byte(l.stdout(0, "secret", "ls", "-o", "json")), &doc); err != nil {
			t.Fatal(err)
		}
		for _, s := range doc.Secrets {
			if s.Key == key {
				return s.State
			}
		}
		return ""
	}
	if got := state(); got != "made-up" {
		t.Errorf("before it is given: %q", got)
	}
	value := fmt.Sprintf("given-%d", time.Now().UnixNano())
	cmd := l.command("secret", "set", "local", key)
	cmd.Stdin = strings.NewReader(value + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), value) || !strings.Contains(string(out), "checkout will have it") {
		t.Errorf("%v: %s", err, out)
	}
	if got := state(); got != "given" {
		t.Errorf("after it was given: %q", got)
	}
	if n := l.up(); n != 1 {
		t.Errorf("%d units were applied, want 1", n)
	}
	s, err := l.client(t).Typed.CoreV1().Secrets("payments").Get(t.Context(), "checkout-secrets", metav1.GetOptions{})
	if err != nil || string(s.Data["payment-token.value"]) != value {
		t.Errorf("checkout does not have it: %v", err)
	}
	if out := l.must(1, "secret", "rm", "local", "nobody/has-it"); !strings.Contains(out, "has no secret") {
		t.Errorf("%s", out)
	}
	l.settle(t)
}
