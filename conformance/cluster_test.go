package conformance

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	suite "sigs.k8s.io/gateway-api/conformance"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/image"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/node"
	"github.com/stratahq/strata/internal/proxy/config"
)

// echoRecipe is the image of the suite's backends, built of the suite's own source.
const echoRecipe = `
apiVersion: strata/v1alpha1
kind: Image
metadata: {name: echo-basic}
spec:
  engines: {echo-basic: /echo-basic}
  entrypoint: [/echo-basic]
`

// manifests are the suite's, without the DNS server that only its UDPRoute tests ask: its
// image is not here, and the suite waits for all pods.
func manifests(t *testing.T) (string, fs.FS) {
	t.Helper()
	b, err := fs.ReadFile(suite.Manifests, "base/manifests.yaml")
	if err != nil {
		t.Fatal(err)
	}
	docs := strings.Split(string(b), "\n---\n")
	docs = slices.DeleteFunc(docs, func(d string) bool {
		return strings.Contains(d, "name: coredns\n") && strings.Contains(d, "kind: Deployment")
	})
	return "base/manifests.yaml", replaced{suite.Manifests, "base/manifests.yaml", strings.Join(docs, "\n---\n")}
}

// replaced is a file system with one other file.
type replaced struct {
	fs.FS
	name, content string
}

// ReadFile implements fs.ReadFileFS.
func (r replaced) ReadFile(name string) ([]byte, error) {
	if name == r.name {
		return []byte(r.content), nil
	}
	return fs.ReadFile(r.FS, name)
}

var imageField = regexp.MustCompile(`(?m)^\s+image: (\S+/echo-basic:\S+)$`)

// images builds the images that run in the node, and loads them into it.
func images(t *testing.T, c node.Config) {
	t.Helper()
	b, err := image.NewBuilder(nil)
	if err != nil {
		t.Fatal(err)
	}
	b.Engines = bin(t)
	var list []image.Named
	add := func(r *image.Recipe, refs ...string) *image.Image {
		t.Helper()
		img, err := b.Build(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range append(refs, img.Ref()) {
			list = append(list, image.Named{Ref: ref, Image: img})
		}
		return img
	}
	add(b.Recipes["pause"], node.PauseImage)
	controlImage = add(b.Recipes["control"]).Ref()
	proxyImage = add(b.Recipes["proxy"]).Ref()

	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-o", dir, "sigs.k8s.io/gateway-api/conformance/echo-basic")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build echo-basic: %v: %s", err, out)
	}
	r, err := image.Decode([]byte(echoRecipe), "echo-basic.yaml", "")
	if err != nil {
		t.Fatal(err)
	}
	b.Engines = dir
	_, base := manifests(t)
	add(r, echoImages(t, base)...)
	if _, err := image.Load(t.Context(), c.Socket(), list); err != nil {
		t.Fatal(err)
	}
}

// echoImages returns the names that the suite's manifests have for its backends' image.
func echoImages(t *testing.T, manifests fs.FS) []string {
	t.Helper()
	text, err := fs.ReadFile(manifests, "base/manifests.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var refs []string
	for _, m := range imageField.FindAllSubmatch(text, -1) {
		refs = append(refs, string(m[1]))
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}

// The images of the programs, by digest.
var controlImage, proxyImage string

// install runs the control plane as environments do, with leave to run gateways in every
// namespace, and returns when it is ready.
func install(t *testing.T, c node.Config) {
	t.Helper()
	client, err := cluster.Open(c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			show(t, client)
		}
	})
	for _, o := range platform(t) {
		if _, err := client.Apply(t.Context(), o, cluster.ApplyOptions{Force: true}); err != nil {
			t.Fatalf("%s: %v", cluster.Name(o), err)
		}
	}
	eventually(t, func() error {
		d, err := client.Typed.AppsV1().Deployments(config.ControlNamespace).Get(t.Context(), config.ControlAccount, metav1.GetOptions{})
		if err == nil && (d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas == 0 || d.Status.Replicas != d.Status.AvailableReplicas) {
			err = fmt.Errorf("%s is not available", d.Name)
		}
		return err
	})
}

// platform returns the objects of the control plane.
func platform(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	meta := metav1.ObjectMeta{Name: "strata:conformance"}
	objs := []kube.Object{
		// Gateways of the suite, and their certificates, are in any namespace.
		&rbacv1.ClusterRole{
			TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole"}, ObjectMeta: meta,
			Rules: slices.Concat(kube.GatewayNamespaceRules(), kube.GatewaySecretRules()),
		},
		&rbacv1.ClusterRoleBinding{
			TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRoleBinding"}, ObjectMeta: meta,
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: config.ControlNamespace, Name: config.ControlAccount}},
		},
	}
	env := kube.Env{
		Platform: "conformance", PlatformDomain: "strata.example", Name: "test", Cloud: model.CloudLocal, Mesh: model.MeshStrata,
		IngressDomain: "test.strata.example", GatewayClass: config.GatewayClass, ProxyImage: proxyImage, ControlImage: controlImage,
	}
	control, err := kube.RenderControl(env, kube.Platform{Addr: addr.Platform(env.Name, "control")})
	if err != nil {
		t.Fatal(err)
	}
	var out []*unstructured.Unstructured
	namespaces := map[string]bool{}
	for _, o := range append(objs, control...) {
		switch o := o.(type) {
		case *netv1.NetworkPolicy:
			continue // it keeps out gateways in other namespaces than an environment's own
		case *appsv1.Deployment:
			c := &o.Spec.Template.Spec.Containers[0]
			c.Args = slices.DeleteFunc(c.Args, func(a string) bool { return strings.HasPrefix(strings.TrimLeft(a, "-"), "gateway-") })
			c.Args = append(c.Args, "-gateway-image="+proxyImage, "-gateway-service=ClusterIP", "-gateway-replicas=1")
		}
		b, err := kube.MarshalJSON(o)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := cluster.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, decoded...)
		namespaces[o.GetNamespace()] = true
	}
	// Other units of an environment make those.
	delete(namespaces, "")
	for n := range namespaces {
		u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
		u.SetName(n)
		out = slices.Insert(out, 0, u)
	}
	return out
}

// show prints what the control plane says.
func show(t *testing.T, client *cluster.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	pods, err := client.Typed.CoreV1().Pods(config.ControlNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Log(err)
		return
	}
	for _, p := range pods.Items {
		var conditions bytes.Buffer
		for _, s := range p.Status.ContainerStatuses {
			fmt.Fprintf(&conditions, " %+v", s.State)
		}
		b, err := client.Typed.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{}).DoRaw(ctx)
		t.Logf("%s: %s%s\n%s%v", p.Name, p.Status.Phase, conditions.String(), b[max(0, len(b)-5000):], err)
	}
}

// eventually waits until there is no error, for three minutes.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Since(began) > 3*time.Minute {
			t.Fatalf("not within three minutes: %v", err)
		}
	}
}

// output is the absolute path of a file that a flag names.
func output(t *testing.T, file string) string {
	t.Helper()
	if file == "" {
		return ""
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// kubeconfig writes a kubeconfig for processes in the node's network.
func kubeconfig(t *testing.T, c node.Config) string {
	t.Helper()
	b, err := os.ReadFile(c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := strings.ReplaceAll(string(b), c.Server(), "https://"+c.Addr().String()+":6443")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
