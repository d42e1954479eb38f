package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/image"
	"github.com/stratahq/strata/internal/node"
)

// TestOwnCluster brings a workload and its database up in a cluster that Strata is
// given a kubeconfig of, with images that go through a registry: a node that another
// folder has stands for a cluster of somebody else's.
func TestOwnCluster(t *testing.T) {
	l := newLocal(t)
	l.only("catalog")
	t.Setenv("STRATA_NODES", filepath.Join(filepath.Dir(l.nodes), "m"))
	c, err := node.Start(t.Context(), node.Options{Name: "theirs", Timeout: 5 * time.Minute, Owner: l.nodes, Kube: filepath.Join(filepath.Dir(l.strata), "strata-kube"), Program: l.strata})
	t.Cleanup(func() {
		if err := node.Purge(context.Background(), c.Dir); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	// The image of sandboxes is what the provider gives its own nodes.
	b, err := image.NewBuilder(nil)
	if err != nil {
		t.Fatal(err)
	}
	b.Engines = filepath.Dir(l.strata)
	pause, err := b.Build(t.Context(), b.Recipes["pause"])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := image.Load(t.Context(), c.Socket(), []image.Named{{Ref: node.PauseImage, Image: pause}}); err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(l.dir, "theirs.yaml")
	if err := os.WriteFile(kubeconfig, []byte(read(t, c.Kubeconfig())), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(l.dir, "environments", "local.yaml")
	given := read(t, file)
	environment := func(more string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(strings.Replace(given, "spec:\n", "spec:\n  cluster: {existing: {kubeconfig: theirs.yaml}}\n"+more, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	environment("")
	if out := l.must(1, "up"); !strings.Contains(out, "spec.registry.existing.url") {
		t.Errorf("does not say where images would have to go:\n%s", out)
	}

	host, pushed := serveRegistry(t, c.Dir)
	environment(fmt.Sprintf("  registry: {existing: {url: %s/apps}}\n", host))
	l.must(0, "up")
	if n := pushed(); n == 0 {
		t.Error("nothing was pushed")
	}
	client, err := cluster.Open(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	pods, err := client.Typed.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	running := 0
	for _, p := range pods.Items {
		for _, c := range p.Spec.Containers {
			if !strings.HasPrefix(c.Image, host+"/apps/") {
				t.Errorf("%s/%s runs %s, which is of no registry that this cluster was told of", p.Namespace, p.Name, c.Image)
			}
		}
		for _, s := range p.Status.ContainerStatuses {
			if s.Ready {
				running++
			}
		}
	}
	if running < 2 {
		t.Errorf("%d containers are ready: want the workload and its database", running)
	}
	before := pushed()
	if out := l.must(0, "up"); strings.Contains(out, "applied catalog") || pushed() != before {
		t.Errorf("nothing had changed, yet:\n%s", out)
	}
	if out := l.must(1, "down"); !strings.Contains(out, "strata destroy local") {
		t.Errorf("down does not say what to do instead:\n%s", out)
	}
	l.must(0, "destroy", "local", "--yes")
}

// only leaves one workload and its environment of this machine in the repository.
func (l *local) only(workload string) {
	l.t.Helper()
	for _, pattern := range []string{"workloads/*", "environments/*", "releases/*", "policies/*"} {
		files, err := filepath.Glob(filepath.Join(l.dir, pattern))
		if err != nil {
			l.t.Fatal(err)
		}
		for _, file := range files {
			if name := filepath.Base(file); name == workload || name == "local.yaml" {
				continue
			}
			if err := os.RemoveAll(file); err != nil {
				l.t.Fatal(err)
			}
		}
	}
	environment, _, _ := strings.Cut(read(l.t, filepath.Join(l.dir, "environments", "local.yaml")), "  workloads:\n")
	// What access is given to and the other teams would lead nowhere.
	platform, _, _ := strings.Cut(read(l.t, filepath.Join(l.dir, "strata.yaml")), "  access:\n")
	for name, text := range map[string]string{"environments/local.yaml": environment, "strata.yaml": platform} {
		if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600); err != nil {
			l.t.Fatal(err)
		}
	}
}

// serveRegistry serves a registry under one name to this process and to the processes
// of a node: on loopback of both network namespaces. pushed says how many manifests it
// was given.
func serveRegistry(t *testing.T, nodeDir string) (host string, pushed func() int) {
	t.Helper()
	var here, there net.Listener
	var port int
	for range 10 { // what is free here may be taken there
		var err error
		if here, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		port = here.Addr().(*net.TCPAddr).Port
		if there, err = listenIn(containerdOf(t, nodeDir), fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			break
		}
		here.Close()
		t.Log(err)
	}
	if there == nil {
		t.Fatal("no port is free for both")
	}
	manifests := make(chan struct{}, 1000)
	inner := registry.New(registry.Logger(slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)))
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method == http.MethodPut && strings.Contains(q.URL.Path, "/manifests/") {
			manifests <- struct{}{}
		}
		inner.ServeHTTP(w, q)
	})}
	for _, l := range []net.Listener{here, there} {
		go func() { _ = server.Serve(l) }() // ends when the server is closed
	}
	t.Cleanup(func() { server.Close() })
	return fmt.Sprintf("localhost:%d", port), func() int { return len(manifests) }
}

// containerdOf is the process of a node's containerd.
func containerdOf(t *testing.T, dir string) int {
	t.Helper()
	procs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range procs {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		args := strings.Split(string(b), "\x00")
		var pid int
		if filepath.Base(args[0]) != "containerd" || !strings.Contains(string(b), dir) {
			continue
		}
		if _, err := fmt.Sscanf(filepath.Base(filepath.Dir(file)), "%d", &pid); err == nil {
			return pid
		}
	}
	t.Fatalf("no containerd of %s runs", dir)
	return 0
}
