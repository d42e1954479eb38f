package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	goruntime "runtime"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/needs"
	"github.com/stratahq/strata/internal/node"
	"github.com/stratahq/strata/internal/proxy/config"
)

// TestMain is the program of the node that the test starts, too.
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
		err = node.Run(ctx, dir, log)
	case "init":
		err = node.Init(ctx, dir, log)
	case "agent":
		err = node.Agent(ctx, dir, log)
	case "cni":
		err = node.CNI(dir, os.Stdin, os.Stdout, os.Getenv)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

const (
	peerImage    = "strata.local/peer:1"
	controlImage = "strata.local/control:1"
)

// world is a node with the control plane in it.
type world struct {
	t       *testing.T
	node    node.Config
	cluster *cluster.Client
	client  kubernetes.Interface
}

// newWorld starts a node, or skips the test. It is purged at the end.
func newWorld(t *testing.T) *world {
	t.Helper()
	program, err := filepath.Abs("../../bin/strata-kube")
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
		t.Skip("builds programs and takes minutes; go test without the race detector runs this")
	}
	if _, err := os.Stat(program); err != nil {
		needs.Skip(t, "needs Kubernetes: make engines")
	}
	if err := node.Check(); err != nil {
		needs.Skip(t, "needs what nodes need: %v", err)
	}
	// Sockets lie in the folder, so its name is short.
	dir, err := os.MkdirTemp("", "sc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("STRATA_NODES", filepath.Join(dir, "n"))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := node.Options{Name: "control", Owner: "/test", Kube: program, Program: self, Timeout: 5 * time.Minute}
	t.Cleanup(func() {
		if err := node.Purge(context.Background(), filepath.Join(node.Root(), o.Name)); err != nil {
			t.Errorf("purge: %v", err)
		}
	})
	w := &world{t: t}
	if w.node, err = node.Start(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if w.cluster, err = cluster.Open(w.node.Kubeconfig()); err != nil {
		t.Fatal(err)
	}
	w.client = w.cluster.Typed
	w.images()
	return w
}

// images builds the programs and loads them into the node.
func (w *world) images() {
	w.t.Helper()
	bin := w.t.TempDir()
	cmd := exec.Command("go", "build", "-trimpath", "-gcflags=all=-dwarf=false", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", bin, ".", "./testdata/peer")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
	all := map[name.Tag]v1.Image{}
	for ref, program := range map[string]string{node.PauseImage: "peer", peerImage: "peer", controlImage: "strata-control"} {
		tag, err := name.NewTag(ref)
		if err != nil {
			w.t.Fatal(err)
		}
		if all[tag], err = image(filepath.Join(bin, program)); err != nil {
			w.t.Fatal(err)
		}
	}
	var archive bytes.Buffer
	if err := tarball.MultiWrite(all, &archive); err != nil {
		w.t.Fatal(err)
	}
	load := exec.Command("ctr", "--address", w.node.Socket(), "--namespace", "k8s.io", "images", "import", "-")
	load.Stdin = &archive
	if out, err := load.CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
}

// image is an image of one static program.
func image(program string) (v1.Image, error) {
	b, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	tw := tar.NewWriter(&layer)
	if err := tw.WriteHeader(&tar.Header{Name: "program", Mode: 0o755, Size: int64(len(b))}); err != nil {
		return nil, err
	}
	if _, err := tw.Write(b); err != nil {
		return nil, err
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return nil, err
	}
	f, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(img, &v1.ConfigFile{OS: "linux", Architecture: goruntime.GOARCH, RootFS: f.RootFS, Config: v1.Config{Entrypoint: []string{"/program"}, User: "65532:65532"}})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// namespace makes a namespace and waits until pods can be in it.
func (w *world) namespace(ns string) {
	w.t.Helper()
	_, err := w.client.CoreV1().Namespaces().Create(w.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{})
	w.must(err)
	w.eventually(func() error {
		_, err := w.client.CoreV1().ServiceAccounts(ns).Get(w.t.Context(), "default", metav1.GetOptions{})
		return err
	})
}

func (w *world) account(ns, account string) {
	w.t.Helper()
	_, err := w.client.CoreV1().ServiceAccounts(ns).Create(w.t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{})
	w.must(err)
}

// control installs the control plane as an environment has it, with more arguments.
func (w *world) control(args ...string) {
	w.t.Helper()
	for _, ns := range []string{config.ControlNamespace, cluster.SecretsNamespace, kube.DataNamespace} {
		w.namespace(ns)
	}
	objects, err := kube.RenderControl(kube.Env{
		Platform: "acme", PlatformDomain: "acme.example", Name: "local", Cloud: model.CloudLocal, Protected: true,
		Mesh: model.MeshStrata, ControlImage: controlImage,
	}, kube.Platform{Addr: addr.Platform("local", "control")})
	w.must(err)
	for _, o := range objects {
		if d, ok := o.(*appsv1.Deployment); ok {
			d.Spec.Template.Spec.Containers[0].Args = append(d.Spec.Template.Spec.Containers[0].Args, args...)
		}
		m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		w.must(err)
		_, err = w.cluster.Apply(w.t.Context(), &unstructured.Unstructured{Object: m}, cluster.ApplyOptions{})
		w.must(err)
	}
	w.eventually(func() error {
		d, err := w.client.AppsV1().Deployments(config.ControlNamespace).Get(w.t.Context(), config.ControlAccount, metav1.GetOptions{})
		if err == nil && d.Status.ReadyReplicas != 2 {
			err = fmt.Errorf("%d replicas of 2 are ready", d.Status.ReadyReplicas)
		}
		return err
	})
}

// peer starts a pod with an identity and returns its address when it runs.
func (w *world) peer(ns, pod, account string, change func(*corev1.PodCertificateProjection)) string {
	w.t.Helper()
	w.start(ns, pod, account, change)
	var ip string
	w.eventually(func() error {
		p, err := w.client.CoreV1().Pods(ns).Get(w.t.Context(), pod, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if ip = p.Status.PodIP; p.Status.Phase != corev1.PodRunning || ip == "" {
			return fmt.Errorf("pod %s/%s is %s", ns, pod, p.Status.Phase)
		}
		_, err = w.ask(ns, pod, "has")
		return err
	})
	return ip
}

// start starts a pod with an identity and does not wait for it.
func (w *world) start(ns, pod, account string, change func(*corev1.PodCertificateProjection)) {
	w.t.Helper()
	cert := &corev1.PodCertificateProjection{SignerName: config.Signer, KeyType: "ECDSAP256", CredentialBundlePath: "credentials.pem"}
	if change != nil {
		change(cert)
	}
	_, err := w.client.CoreV1().Pods(ns).Create(w.t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: pod}, Spec: corev1.PodSpec{
		ServiceAccountName: account, AutomountServiceAccountToken: new(false), TerminationGracePeriodSeconds: new(int64(1)),
		SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: new(true), RunAsUser: new(int64(65532)), RunAsGroup: new(int64(65532)), FSGroup: new(int64(65532))},
		Containers: []corev1.Container{{
			Name: "peer", Image: peerImage, ImagePullPolicy: corev1.PullNever, Args: []string{"serve"},
			VolumeMounts: []corev1.VolumeMount{{Name: "identity", MountPath: "/run/strata/identity", ReadOnly: true}},
		}},
		Volumes: []corev1.Volume{{Name: "identity", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{DefaultMode: new(int32(0o440)), Sources: []corev1.VolumeProjection{
			{PodCertificate: cert},
			{ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{SignerName: new(config.Signer), LabelSelector: &metav1.LabelSelector{}, Path: "trust.pem"}},
		}}}}},
	}}, metav1.CreateOptions{})
	w.must(err)
}

// has is what a pod has.
type has struct {
	Chain, Trust               []string
	ChainChanged, TrustChanged time.Time
}

func (w *world) has(ns, pod string) has {
	w.t.Helper()
	var out has
	b, err := w.ask(ns, pod, "has")
	w.must(err)
	w.must(json.Unmarshal(b, &out))
	return out
}

// ask asks the program in a pod, by way of the API server.
func (w *world) ask(ns, pod, what string, params ...string) ([]byte, error) {
	w.t.Helper()
	r := w.client.CoreV1().RESTClient().Get().Namespace(ns).Resource("pods").Name(pod + ":7777").SubResource("proxy").Suffix(what).Timeout(time.Minute)
	for i := 0; i+1 < len(params); i += 2 {
		r = r.Param(params[i], params[i+1])
	}
	return r.DoRaw(w.t.Context())
}

// leaf is the certificate of a pod.
func (h has) leaf(t *testing.T) *x509.Certificate {
	t.Helper()
	if len(h.Chain) != 1 {
		t.Fatalf("a chain of %d certificates", len(h.Chain))
	}
	b, _ := pem.Decode([]byte(h.Chain[0]))
	c, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// eventually waits until there is no error. Nothing here takes as long as it may: a
// kubelet looks at a pod's volumes once in a minute, and much else may run on the machine.
func (w *world) eventually(f func() error) {
	w.t.Helper()
	deadline := time.Now().Add(10 * time.Minute)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("not within ten minutes: %v", err)
		}
		select {
		case <-w.t.Context().Done():
			w.t.Fatal(w.t.Context().Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}
