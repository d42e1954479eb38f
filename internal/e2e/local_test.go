package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/image"
	"github.com/stratahq/strata/internal/needs"
	"github.com/stratahq/strata/internal/node"
	"github.com/stratahq/strata/internal/provider/mirror"
	"github.com/stratahq/strata/internal/provider/strata"
)

// machine is a folder for nodes and an OpenTofu root with a cluster of its own in it.
type machine struct {
	*every
	nodes string
	log   string // everything that OpenTofu and the provider log
	c     *cluster.Client
}

// newMachine prepares a root for a node of this machine, or skips the test where there
// cannot be one.
func newMachine(t *testing.T, root string) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		needs.Skip(t, "needs root, for a node; CI runs as root")
	}
	if testing.Short() {
		t.Skip("starts Kubernetes and six services, which takes longer than -short allows")
	}
	bin := tools(t)
	for _, program := range []string{"strata-kube", "strata-pause", "strata-entry", "strata-kafka", "strata-objectstore"} {
		file, err := filepath.Abs(filepath.Join("../../bin", program))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(file); err != nil {
			needs.Skip(t, "needs bin/%s: make build engines", program)
		}
		if err := os.Symlink(file, filepath.Join(bin, program)); err != nil {
			t.Fatal(err)
		}
	}
	if err := node.Check(); err != nil {
		needs.Skip(t, "needs what nodes need: %v", err)
	}
	// Sockets lie in a node's folder, and their paths must be short.
	dir, err := os.MkdirTemp("", "sl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &machine{every: &every{t: t, dir: filepath.Join(dir, "root"), bin: bin}, nodes: filepath.Join(dir, "n"), log: filepath.Join(dir, "trace.log")}
	t.Setenv("STRATA_NODES", m.nodes)
	cache, err := image.DefaultCache()
	if err != nil {
		t.Fatal(err)
	}
	served := mirror.Provider{Source: strata.Source, Version: strata.Version, Command: []string{
		filepath.Join(bin, "strata"), "provider", "serve", "--secrets", filepath.Join(dir, "secrets"), "--repository", dir, "--images", cache, "--nodes", m.nodes,
	}}
	if err := mirror.Write(filepath.Join(dir, "mirror"), []mirror.Provider{served}); err != nil {
		t.Fatal(err)
	}
	rc := filepath.Join(dir, "tofu.rc")
	modules, err := filepath.Abs("../../modules/local")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		rc:                              string(mirror.CLIConfig(filepath.Join(dir, "mirror"), []string{served.Source}, "", false)),
		filepath.Join(m.dir, "main.tf"): strings.ReplaceAll(read(t, root), "MODULES", modules),
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The provider builds images, as its user would.
	m.env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+rc, "CHECKPOINT_DISABLE=1", "TF_LOG=trace", "TF_LOG_PATH="+m.log)
	t.Cleanup(func() {
		if err := node.Purge(context.Background(), m.folder()); err != nil {
			t.Errorf("purge: %v", err)
		}
	})
	m.tofu(0, "init", "-input=false", "-no-color")
	return m
}

func (m *machine) folder() string { return filepath.Join(m.nodes, "acme-test") }

// apply applies with variables and says how long it took.
func (m *machine) apply(what string, vars ...string) {
	m.t.Helper()
	began := time.Now()
	m.tofu(0, append([]string{"apply", "-input=false", "-no-color", "-auto-approve"}, vars...)...)
	m.t.Logf("%s: %s", what, time.Since(began).Round(100*time.Millisecond))
}

// ended waits for a pod to end and wants it to have succeeded.
func (m *machine) ended(namespace, name string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 5*time.Minute)
	defer cancel()
	for {
		p, err := m.c.Typed.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			m.t.Fatal(err)
		}
		if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			time.Sleep(200 * time.Millisecond)
			continue
		}
		r, err := m.c.Typed.CoreV1().Pods(namespace).GetLogs(name, &corev1.PodLogOptions{}).Stream(ctx)
		if err != nil {
			m.t.Fatal(err)
		}
		out, err := io.ReadAll(r)
		if err != nil || p.Status.Phase == corev1.PodFailed {
			m.t.Fatalf("pod %s/%s: %v\n%s", namespace, name, err, out)
		}
		return
	}
}

// restarted waits until every service has been started since and is ready. What a pod's
// status says of the time before is no answer.
func (m *machine) restarted(ctx context.Context, since time.Time) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 6*time.Minute)
	defer cancel()
	for {
		pods, err := m.c.Typed.CoreV1().Pods("strata-data").List(ctx, metav1.ListOptions{})
		if err != nil {
			m.t.Fatal(err)
		}
		waiting := 6
		for _, p := range pods.Items {
			for _, s := range p.Status.ContainerStatuses {
				// The API has whole seconds.
				if s.Ready && s.State.Running != nil && !s.State.Running.StartedAt.Time.Before(since.Truncate(time.Second)) {
					waiting--
				}
			}
		}
		if waiting == 0 {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// TestLocalModules brings up every local module on a node of its own, uses what they make
// from a pod as a workload does, and takes all of it down again.
func TestLocalModules(t *testing.T) {
	m := newMachine(t, "testdata/local/main.tf")
	ctx := t.Context()
	began := time.Now()
	ref := workload(t, "testdata/services")
	t.Logf("workload built: %s", time.Since(began).Round(100*time.Millisecond))
	services, pods := "-var=services=true", func(list string) []string {
		return []string{"-var=services=true", "-var=image=" + ref, "-var=pods={" + list + "}"}
	}
	m.apply("node and services", services)
	var err error
	if m.c, err = cluster.Open(filepath.Join(m.folder(), "kubeconfig")); err != nil {
		t.Fatal(err)
	}
	m.tofu(0, "plan", "-input=false", "-no-color", "-detailed-exitcode", services)

	// A team's workload may use them, over TLS that it trusts. Nobody else gets there.
	m.apply("workloads", pods(`shop="write",other="closed"`)...)
	m.ended("shop", "write")
	m.ended("other", "closed")

	// Their data is there after the node was stopped.
	began = time.Now()
	if err := node.Stop(ctx, m.folder()); err != nil {
		t.Fatal(err)
	}
	t.Logf("node stopped: %s", time.Since(began).Round(100*time.Millisecond))
	began = time.Now()
	if _, err := node.Start(ctx, node.Options{Name: "acme-test", Timeout: 5 * time.Minute, Owner: filepath.Dir(m.dir), Program: filepath.Join(m.bin, "strata"), Kube: filepath.Join(m.bin, "strata-kube")}); err != nil {
		t.Fatal(err)
	}
	m.restarted(ctx, began)
	t.Logf("node and services started: %s", time.Since(began).Round(100*time.Millisecond))
	m.apply("workloads again", pods(`shop="read"`)...)
	m.ended("shop", "read")

	m.secretsAreNowhere(ctx)

	// What is protected is not deleted, and nothing else is before it.
	m.apply("protection", services, "-var=protected=true")
	for _, args := range [][]string{{"plan", "-destroy", services}, {"apply", "-auto-approve", "-var=services=false"}} {
		if out := m.tofu(1, append(args, "-input=false", "-no-color", "-var=protected=true")...); !strings.Contains(strings.Join(strings.Fields(out), " "), "v1/PersistentVolumeClaim/strata-data/acme-test-db is protected") {
			t.Errorf("%v does not say what is protected:\n%s", args, out)
		}
	}
	m.tofu(0, "plan", "-input=false", "-no-color", "-detailed-exitcode", services, "-var=protected=true")
	m.apply("no protection", services)

	m.apply("services gone", "-var=services=false")
	m.nothingIsLeft(ctx)
	m.tofu(0, "destroy", "-input=false", "-no-color", "-auto-approve", "-var=services=false")
	if _, err := os.Stat(m.folder()); err == nil {
		t.Error("the node's folder is left")
	}
}

// workload builds the image of a workload of the test and returns its name.
func workload(t *testing.T, dir string) string {
	t.Helper()
	b, err := image.NewBuilder(nil)
	if err != nil {
		t.Fatal(err)
	}
	img, err := b.BuildWorkload(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return img.Ref()
}

// secretsAreNowhere looks for every secret's value wherever it must not be: in states,
// plans and logs, in the arguments and the environment of any process, and in what the
// node keeps on disk.
func (m *machine) secretsAreNowhere(ctx context.Context) {
	t := m.t
	t.Helper()
	list, err := m.c.Typed.CoreV1().Secrets(cluster.SecretsNamespace).List(ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) != 7 {
		t.Fatalf("%d secrets, %v; want 6 and an authority", len(list.Items), err)
	}
	m.tofu(0, "plan", "-input=false", "-no-color", "-destroy", "-var=services=true", "-out=plan")
	if err := os.WriteFile(filepath.Join(m.dir, "plan.json"), []byte(m.tofu(0, "show", "-json", "plan")), 0o600); err != nil {
		t.Fatal(err)
	}
	texts := map[string][]byte{}
	err = filepath.WalkDir(filepath.Dir(m.dir), func(p string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // it went while this looked
			return nil
		}
		if err != nil {
			return err
		}
		// Images have no secrets, and a service's own data is its own business.
		if e.IsDir() && (e.Name() == "volumes" || e.Name() == "containerd") {
			return fs.SkipDir
		}
		if !e.Type().IsRegular() {
			return nil
		}
		texts[p], err = os.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	looked := strings.Join(slices.Collect(maps.Keys(texts)), "\n")
	for _, want := range []string{"root/terraform.tfstate", "root/plan", "trace.log", "acme-test/etcd/", "acme-test/log/"} {
		if !strings.Contains(looked, want) {
			t.Errorf("nobody looked at %s", want)
		}
	}
	for _, p := range processes(t) {
		for _, file := range []string{"cmdline", "environ"} {
			// One that ended meanwhile has neither.
			if b, err := os.ReadFile(filepath.Join(p, file)); err == nil {
				texts[filepath.Join(p, file)] = b
			}
		}
	}
	for _, s := range list.Items {
		value := s.Data[cluster.SecretKey]
		if i := bytes.Index(value, []byte("PRIVATE KEY-----\n")); i > 0 {
			value = value[i+len("PRIVATE KEY-----\n"):][:40] // the certificate is no secret
		}
		if len(value) < 32 {
			t.Fatalf("%s is %d characters long", s.Name, len(value))
		}
		for where, text := range texts {
			if bytes.Contains(text, value) {
				t.Errorf("the value of %s is in %s", s.Annotations[cluster.SecretPath], where)
			}
		}
	}
	t.Logf("%d secrets are in none of %d files and processes", len(list.Items), len(texts))
}

// processes lists the folders of all processes.
func processes(t *testing.T) []string {
	t.Helper()
	list, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		if _, err := strconv.Atoi(e.Name()); err == nil {
			out = append(out, filepath.Join("/proc", e.Name()))
		}
	}
	return out
}

// nothingIsLeft looks for what the services may have left behind.
func (m *machine) nothingIsLeft(ctx context.Context) {
	t := m.t
	t.Helper()
	var left []string
	spaces, err := m.c.Typed.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range spaces.Items {
		if n.Name != metav1.NamespaceDefault && !strings.HasPrefix(n.Name, "kube-") {
			left = append(left, "namespace "+n.Name)
		}
	}
	bundles, err := m.c.Typed.CertificatesV1().ClusterTrustBundles().List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=strata"})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bundles.Items {
		left = append(left, "trust bundle "+b.Name)
	}
	// The node removes volumes a moment after their claims.
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		volumes, err := m.c.Typed.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		folders, err := filepath.Glob(filepath.Join(m.folder(), "volumes", "*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(volumes.Items) == 0 && len(folders) == 0 {
			break
		}
		if time.Now().After(deadline) {
			left = append(append(left, folders...), fmt.Sprintf("%d volumes", len(volumes.Items)))
			break
		}
	}
	if len(left) > 0 {
		t.Errorf("these are left: %v", left)
	}
}
