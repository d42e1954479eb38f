package node

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/needs"
)

// TestMain is the program of the nodes that tests start, too.
func TestMain(m *testing.M) {
	if len(os.Args) < 5 || os.Args[1] != "node" || os.Args[3] != "--dir" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log, dir := slog.New(slog.NewTextHandler(os.Stderr, nil)), os.Args[4]
	var err error
	switch os.Args[2] {
	case "run":
		err = Run(ctx, dir, log)
	case "init":
		err = Init(ctx, dir, log)
	case "agent":
		err = Agent(ctx, dir, log)
	case "cni":
		err = CNI(dir, os.Stdin, os.Stdout, os.Getenv)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// options returns what starts a node of this test, or skips it.
func options(t *testing.T, name string) Options {
	t.Helper()
	kube, err := filepath.Abs("../../bin/strata-kube")
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		needs.Skip(t, "needs root, for namespaces and mounts; CI runs as root")
	}
	if testing.Short() {
		t.Skip("starts Kubernetes, which takes longer than -short allows")
	}
	if raceDetector {
		t.Skip("takes minutes under the race detector; go test without it runs this")
	}
	if _, err := os.Stat(kube); err != nil {
		needs.Skip(t, "needs Kubernetes: make engines")
	}
	if err := Check(); err != nil {
		needs.Skip(t, "needs what nodes need: %v", err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Options{Name: name, Owner: "/test", Kube: kube, Program: program, Timeout: 3 * time.Minute}
}

// running is a node that runs, and a client of its cluster.
type running struct {
	Config
	*cluster.Client
	options Options
}

// nodesFolder is a folder for nodes whose name is short: sockets lie in it.
func nodesFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "n")
}

// up starts a node with the images of the tests; it is purged at the test's end.
func up(t *testing.T, o Options) *running {
	t.Helper()
	dir := filepath.Join(Root(), o.Name)
	t.Cleanup(func() {
		if t.Failed() {
			show(t, dir)
		}
		if err := Purge(context.Background(), dir); err != nil {
			t.Errorf("purge: %v", err)
		}
	})
	began := time.Now()
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s is ready after %s", o.Name, time.Since(began).Round(time.Millisecond))
	n := &running{Config: c, options: o}
	n.connect(t)
	n.load(t)
	return n
}

// show prints the ends of a node's logs.
func show(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "log", "*.log"))
	if err != nil {
		t.Error(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(b) > 3000 {
			b = b[len(b)-3000:]
		}
		t.Logf("%s:\n%s", file, b)
	}
}

func (n *running) connect(t *testing.T) {
	t.Helper()
	client, err := cluster.Open(n.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	n.Client = client
}

// probeImage is the image of testdata/probe, as a pause image too.
const probeImage = "strata.local/probe:1"

// archive makes an archive of the image once.
var archive = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "probe")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("go", "build", "-o", dir, "./testdata/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "probe"))
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "probe", Mode: 0o755, Size: int64(len(b))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err == nil {
		img, err = mutate.ConfigFile(img, &v1.ConfigFile{OS: "linux", Architecture: runtime.GOARCH, RootFS: v1.RootFS{Type: "layers", DiffIDs: digests(img)}, Config: v1.Config{Entrypoint: []string{"/probe"}, User: "65532:65532"}})
	}
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	all := map[name.Tag]v1.Image{}
	for _, ref := range []string{PauseImage, probeImage} {
		tag, err := name.NewTag(ref)
		if err != nil {
			return nil, err
		}
		all[tag] = img
	}
	if err := tarball.MultiWrite(all, &out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
})

func digests(img v1.Image) []v1.Hash {
	f, err := img.ConfigFile()
	if err != nil {
		return nil
	}
	return f.RootFS.DiffIDs
}

func (n *running) load(t *testing.T) {
	t.Helper()
	b, err := archive()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("ctr", "--address", n.Socket(), "--namespace", "k8s.io", "images", "import", "-")
	cmd.Stdin = bytes.NewReader(b)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// namespaceOf makes a namespace.
func (n *running) namespace(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	_, err := n.Typed.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// A pod needs its namespace's service account.
	eventually(t, func() error {
		_, err := n.Typed.CoreV1().ServiceAccounts(name).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
}

// pod returns a pod that answers on ports such as "tcp:80".
func pod(ns, name string, labels map[string]string, ports ...string) *corev1.Pod {
	grace, no := int64(1), false
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: labels},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &grace, EnableServiceLinks: &no,
			Containers: []corev1.Container{{Name: "probe", Image: probeImage, Args: []string{strings.Join(ports, ",")}, ImagePullPolicy: corev1.PullNever}},
		},
	}
}

func (n *running) create(t *testing.T, pods ...*corev1.Pod) {
	t.Helper()
	for _, p := range pods {
		if _, err := n.Typed.CoreV1().Pods(p.Namespace).Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range pods {
		n.answers(t, p.Namespace, p.Name)
	}
}

// answers waits until the pod's program does, and returns the pod's address.
func (n *running) answers(t *testing.T, ns, name string) string {
	t.Helper()
	var ip string
	eventually(t, func() error {
		p, err := n.Typed.CoreV1().Pods(ns).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if ip = p.Status.PodIP; p.Status.Phase != corev1.PodRunning || ip == "" {
			return fmt.Errorf("pod %s/%s is %s", ns, name, p.Status.Phase)
		}
		_, err = n.ask(t, ns, name, "lookup", "name", "localhost")
		return err
	})
	return ip
}

// ask asks the probe in a pod, by way of the API server: that comes from the node.
func (n *running) ask(t *testing.T, ns, name, what string, params ...string) (string, error) {
	t.Helper()
	r := n.Typed.CoreV1().RESTClient().Get().Namespace(ns).Resource("pods").Name(name + ":7777").SubResource("proxy").Suffix(what).Timeout(5 * time.Second)
	for i := 0; i+1 < len(params); i += 2 {
		r = r.Param(params[i], params[i+1])
	}
	b, err := r.DoRaw(t.Context())
	return string(b), err
}

// eventually waits until there is no error; the tests' own deadline bounds it, and
// three minutes, so that the logs can be shown: much else may run on the machine.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var err error
	if poll(ctx, func() bool { err = f(); return err == nil }) != nil {
		t.Fatalf("not within three minutes: %v", err)
	}
}
