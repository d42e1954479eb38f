package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/needs"
	"github.com/stratahq/strata/internal/node"
)

// local is examples/acme as it runs on this machine.
type local struct {
	*world
	nodes string
	// routes are URLs by WORKLOAD.CLASS.
	routes map[string]string
}

// TestLocal runs the example for real and looks at it from all sides. Bringing it up
// takes most of the time, so the parts share it, and come one after the other.
func TestLocal(t *testing.T) {
	l := newLocal(t)
	before := footprint(t)
	l.up()
	for _, part := range []struct {
		name string
		run  func(*local, *testing.T)
	}{
		{"settled", settled}, {"inspected", inspected}, {"objects", objectsAccepted}, {"mesh", mesh}, {"exposed", exposed}, {"scaled", scaled}, {"rolled", rolled}, {"browser", browser}, {"traced", traced}, {"secrets", secretsStay},
		{"one change", oneChange}, {"restored", restored}, {"kills", kills}, {"down and up", downAndUp},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(l, t) }) {
			l.explain()
			return // what follows would only say so again
		}
	}
	c := l.config(t)
	l.must(0, "down", "--purge", "--yes")
	if d := differs(before, footprint(t), c); len(d) > 0 {
		t.Errorf("the machine is not as it was:\n%s", strings.Join(d, "\n"))
	}
	nobody(t, l.nodes)
	if _, err := os.Stat(l.nodes); err == nil {
		t.Errorf("%s is left", l.nodes)
	}
	if out := l.must(0, "audit", "verify"); !strings.Contains(out, "audit") {
		t.Errorf("got %s", out)
	}
}

// newLocal copies the example.
func newLocal(t *testing.T) *local {
	t.Helper()
	return newLocalOf(t, "../../examples/acme")
}

// newLocalOf copies a repository. The caches are the user's own, since images are built
// of Debian packages and Go modules that nobody wants to fetch twice.
func newLocalOf(t *testing.T, repository string) *local {
	t.Helper()
	if os.Geteuid() != 0 {
		needs.Skip(t, "a node needs root")
	}
	bin := tools(t)
	for _, name := range []string{"strata-kube", "strata-objectstore", "strata-kafka", "strata-entry", "strata-pause", "strata-proxy", "strata-control"} {
		file, err := filepath.Abs(filepath.Join("../../bin", name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(file); err != nil {
			needs.Skip(t, "needs bin/%s: make build engines", name)
		}
		if err := os.Symlink(file, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	// Sockets lie there, and their names may have 107 bytes.
	nodes, err := os.MkdirTemp("/tmp", "sn")
	if err != nil {
		t.Fatal(err)
	}
	l := &local{world: newWorld(t, bin, repository), nodes: filepath.Join(nodes, "n")}
	l.env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "STRATA_") }),
		"STRATA_NODES="+l.nodes, "STRATA_WHO=author@acme.example", "NO_COLOR=1", "COLUMNS=160", "KUBECONFIG=/nonexistent")
	t.Cleanup(func() {
		if _, err := os.Stat(l.nodes); err == nil {
			l.must(0, "down", "--purge", "--yes")
		}
		if err := os.RemoveAll(nodes); err != nil {
			t.Error(err)
		}
	})
	return l
}

// up brings the environment up and returns how many units were applied.
func (l *local) up() int {
	l.t.Helper()
	var out struct {
		Applied int               `json:"applied"`
		Routes  map[string]string `json:"routes"`
	}
	text := l.stdout(0, "up", "-o", "json")
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		l.t.Fatalf("%v:\n%s", err, text)
	}
	l.routes = out.Routes
	return out.Applied
}

// explain prints how everything is, after something failed.
func (l *local) explain() {
	_, out := l.run("status", "local")
	l.t.Log(out)
}

func (l *local) config(t *testing.T) node.Config {
	t.Helper()
	c, err := node.Load(filepath.Join(l.nodes, "acme-local"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (l *local) client(t *testing.T) *cluster.Client {
	t.Helper()
	c, err := cluster.Open(l.config(t).Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// settled: after up there is nothing to do, and the description, the cluster and the
// states agree.
func settled(l *local, t *testing.T) {
	if n := l.up(); n != 0 {
		t.Errorf("a second up applied %d units", n)
	}
	for _, args := range [][]string{{"plan", "local"}, {"plan", "local", "--refresh"}, {"drift", "local"}} {
		if code, out := l.run(args...); code != 0 {
			t.Errorf("strata %s: exit code %d:\n%s", strings.Join(args, " "), code, out)
		}
	}
	l.well(t)
}

// objectsAccepted: what build renders is what the API server takes.
func objectsAccepted(l *local, t *testing.T) {
	l.must(0, "build", "local")
	c := l.client(t)
	n := 0
	err := filepath.WalkDir(filepath.Join(l.dir, "out", "local", "objects"), func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(file) != ".yaml" {
			return err
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		objs, err := cluster.Decode(b)
		if err != nil {
			return err
		}
		for _, obj := range objs {
			n++
			if _, err := c.Apply(t.Context(), obj, cluster.ApplyOptions{DryRun: true, Force: true}); err != nil {
				t.Errorf("%s: %v", cluster.Name(obj), err)
			}
		}
		return nil
	})
	if err != nil || n < 50 {
		t.Errorf("%d objects: %v", n, err)
	}
}

// secretsStay: no secret value is anywhere but in the cluster.
func secretsStay(l *local, t *testing.T) {
	c := l.client(t)
	list, err := c.Typed.CoreV1().Secrets(cluster.SecretsNamespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, s := range list.Items {
		if v := string(s.Data[cluster.SecretKey]); len(v) >= 16 {
			values[v] = s.Annotations[cluster.SecretPath]
		}
	}
	if len(values) < 10 {
		t.Fatalf("there are %d secrets", len(values))
	}
	look := func(where, text string) {
		for v, path := range values {
			if strings.Contains(text, v) {
				t.Errorf("%s has the value of %s", where, path)
			}
		}
	}
	_, out := l.run("plan", "local", "--refresh", "-o", "json")
	look("a plan", out)
	look("outputs", l.must(0, "output", "local", "-o", "json"))
	for pid, line := range commandLines() {
		look(fmt.Sprintf("the command line of process %d", pid), line)
	}
	for _, dir := range []string{filepath.Join(l.dir, ".strata"), filepath.Join(l.nodes, "acme-local", "log")} {
		err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				var b []byte
				b, err = os.ReadFile(file)
				look(file, string(b))
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil // the kubelet removes the logs of pods that are gone
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// commandLines returns what every process of the machine was started with.
func commandLines() map[int]string {
	out := map[int]string{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return out
	}
	for _, e := range entries {
		var pid int
		if _, err := fmt.Sscanf(e.Name(), "%d", &pid); err != nil {
			continue
		}
		if b, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline")); err == nil {
			out[pid] = strings.ReplaceAll(string(b), "\x00", " ")
		}
	}
	return out
}

// oneChange: a change to one workload is live, and nothing else is touched.
func oneChange(l *local, t *testing.T) {
	l.edit("workloads/storefront/score.yaml", `"priceFormat": "$${amount} EUR"`, `"priceFormat": "$${amount} Taler"`)
	if n := l.up(); n != 1 {
		t.Errorf("%d units were applied, want 1", n)
	}
	l.replaced(t)
	if page := l.get(t, "/"); !strings.Contains(page, "Taler") {
		t.Errorf("the page does not show the change:\n%s", page)
	}
}

// restored: what somebody deletes by hand is back after up.
func restored(l *local, t *testing.T) {
	c := l.client(t)
	if err := c.Typed.AppsV1().Deployments("storefront").Delete(t.Context(), "catalog", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if code, out := l.run("drift", "local"); code != 2 || !strings.Contains(out, "Deployment/storefront/catalog") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if n := l.up(); n != 1 {
		t.Errorf("%d units were applied, want 1", n)
	}
	l.settle(t)
}

// replaced waits until no pod is left that is being replaced. `up` and `apply` return when
// the new ones are ready, as `kubectl rollout status` does; the old ones answer for some
// seconds more, until every gateway and sidecar has heard of it.
func (l *local) replaced(t *testing.T) {
	t.Helper()
	c := l.client(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for {
		pods, err := c.Typed.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatalf("pods that were replaced are still there: %v", err)
		}
		if !slices.ContainsFunc(pods.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil }) {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// kills ends every process that the environment consists of, one after the other,
// while people order. No order that the shop took is lost.
func kills(l *local, t *testing.T) {
	stop := make(chan struct{})
	var mu sync.Mutex
	var taken []string
	var wg sync.WaitGroup
	product := firstProduct(t, l.get(t, "/"))
	wg.Add(1)
	go func() {
		defer wg.Done()
		client := browserLike()
		for {
			select {
			case <-stop:
				return
			case <-time.After(250 * time.Millisecond):
			}
			if path := l.order(client, product); path != "" {
				mu.Lock()
				taken = append(taken, path)
				mu.Unlock()
			}
		}
	}()
	dir := filepath.Join(l.nodes, "acme-local")
	defer wg.Wait()
	end := sync.OnceFunc(func() { close(stop) })
	defer end()
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns", "metrics-server", "agent", "containerd"} {
		killComponent(t, dir, name)
		time.Sleep(time.Second)
	}
	// The keeper takes the whole node with it, and up starts it again.
	keeper := node.Keeper(dir)
	if keeper == 0 { // which kill(2) takes for our own process group
		t.Fatal("the node does not run")
	}
	if err := unix.Kill(keeper, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l.up()
	l.settle(t)
	end()
	wg.Wait()
	if len(taken) < 5 {
		t.Fatalf("the shop took %d orders", len(taken))
	}
	t.Logf("%d orders were taken", len(taken))
	l.allShipped(t, taken)
}

// killComponent kills a process of a node; one that has just ended by itself comes again.
func killComponent(t *testing.T, dir, name string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		list, err := node.Processes(dir)
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(list, func(p node.Process) bool { return p.Component == name }); i >= 0 {
			if err = unix.Kill(list[i].PID, unix.SIGKILL); err == nil {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no process is %s: %v", name, err)
		}
	}
}

// downAndUp: data outlasts down.
func downAndUp(l *local, t *testing.T) {
	client := browserLike()
	path := l.order(client, firstProduct(t, l.get(t, "/")))
	if path == "" {
		t.Fatal("the shop does not take an order")
	}
	l.allShipped(t, []string{path})
	l.must(0, "down")
	nobody(t, l.nodes)
	if code, out := l.run("status", "local"); code == 0 || !strings.Contains(out, "strata up") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if n := l.up(); n != 0 {
		t.Errorf("%d units were applied", n)
	}
	l.settle(t)
	l.allShipped(t, []string{path})
}
