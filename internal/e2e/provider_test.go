package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/cluster/clustertest"
	"github.com/stratahq/strata/internal/provider/mirror"
	"github.com/stratahq/strata/internal/provider/strata"
)

// served is an OpenTofu root with the provider strata and an API server.
type served struct {
	*every
	c *cluster.Client
}

const servedHeader = `terraform {
  required_providers {
    strata = { source = "stratahq/strata" }
  }
}

provider "strata" {
  platform    = "acme"
  environment = "test"
  labels      = { unit = "UNIT" }
}

`

// newServed prepares a root. Its nodes folder has a node whose kubeconfig leads to the
// API server, as far as the provider can tell.
func newServed(t *testing.T) *served {
	t.Helper()
	bin, kubeconfig := tools(t), clustertest.Start(t)
	dir := t.TempDir()
	own := mirror.Provider{Source: strata.Source, Version: strata.Version, Command: []string{
		filepath.Join(bin, "strata"), "provider", "serve", "--secrets", filepath.Join(dir, "secrets"), "--repository", dir, "--nodes", filepath.Join(dir, "nodes"),
	}}
	if err := mirror.Write(filepath.Join(dir, "mirror"), []mirror.Provider{own}); err != nil {
		t.Fatal(err)
	}
	s := &served{every: &every{t: t, dir: filepath.Join(dir, "root"), bin: bin}}
	rc := filepath.Join(dir, "tofu.rc")
	s.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TF_CLI_CONFIG_FILE=" + rc, "CHECKPOINT_DISABLE=1"}
	node := filepath.Join(dir, "nodes", "acme-test")
	for _, d := range []string{s.dir, node} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for file, text := range map[string]string{
		rc:                                string(mirror.CLIConfig(filepath.Join(dir, "mirror"), []string{own.Source}, "", false)),
		filepath.Join(node, "kubeconfig"): read(t, kubeconfig),
		filepath.Join(node, "node.json"):  `{"name": "acme-test"}`,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if s.c, err = cluster.Open(kubeconfig); err != nil {
		t.Fatal(err)
	}
	s.root("workloads/one", "")
	s.tofu(0, "init", "-input=false", "-no-color")
	return s
}

// root writes what the root consists of.
func (s *served) root(unit, text string) {
	s.t.Helper()
	text = strings.Replace(servedHeader, "UNIT", unit, 1) + strings.ReplaceAll(text, "KUBECONFIG", "nodes/acme-test/kubeconfig")
	if err := os.WriteFile(filepath.Join(s.dir, "main.tf"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *served) apply() string { return s.tofu(0, "apply", "-no-color", "-auto-approve") }

// plan returns a plan that has changes, in one line.
func (s *served) plan() string {
	return strings.Join(strings.Fields(s.tofu(2, "plan", "-no-color", "-detailed-exitcode")), " ")
}

// fails applies and wants an error that says something.
func (s *served) fails(says ...string) {
	s.t.Helper()
	out := strings.Join(strings.Fields(strings.ReplaceAll(s.tofu(1, "apply", "-no-color", "-auto-approve"), "│", "")), " ")
	for _, text := range says {
		if !strings.Contains(out, text) {
			s.t.Errorf("it does not say %q:\n%s", text, out)
		}
	}
}

// unchanged wants a plan without changes.
func (s *served) unchanged() {
	s.t.Helper()
	s.tofu(0, "plan", "-no-color", "-detailed-exitcode")
}

func (s *served) configMap(name string) *corev1.ConfigMap {
	s.t.Helper()
	m, err := s.c.Typed.CoreV1().ConfigMaps("default").Get(s.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

func oneMap(name, rest string) string {
	return `resource "strata_manifest" "this" {
  kubeconfig = "KUBECONFIG"
  manifest = {
    apiVersion = "v1"
    kind       = "ConfigMap"
    metadata   = { name = "` + name + `", namespace = "default" }
    ` + rest + `
  }
}
`
}

// TestManifest applies objects to a real API server: what others change comes to light,
// what others made is left alone, and what cannot be changed is replaced.
func TestManifest(t *testing.T) {
	s := newServed(t)
	ctx := t.Context()
	maps := s.c.Typed.CoreV1().ConfigMaps("default")
	s.root("workloads/one", oneMap("one", `data = { a = "1" }`))
	s.apply()
	s.unchanged()

	// Somebody else's change of its own fields shows; that of others' fields does not.
	m := s.configMap("one")
	m.Data = map[string]string{"a": "edited", "b": "theirs"}
	if _, err := maps.Update(ctx, m, metav1.UpdateOptions{FieldManager: "editor"}); err != nil {
		t.Fatal(err)
	}
	if out := s.plan(); !strings.Contains(out, `a = "edited" -> "1"`) || strings.Contains(out, "theirs") {
		t.Errorf("the plan does not show what changed, or more:\n%s", out)
	}
	s.apply()
	s.unchanged()
	if m := s.configMap("one"); m.Data["a"] != "1" || m.Data["b"] != "theirs" {
		t.Errorf("it is %v", m.Data)
	}
	if err := maps.Delete(ctx, "one", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if out := s.plan(); !strings.Contains(out, "1 to add, 0 to change") {
		t.Errorf("what somebody deleted is not made again:\n%s", out)
	}
	s.apply()

	// An apply that was cut off made it already.
	s.tofu(0, "state", "rm", "strata_manifest.this")
	s.apply()
	s.unchanged()

	// What the API server does not change is replaced, and so is what gets another name.
	s.root("workloads/one", oneMap("one", "data = { a = \"1\" }\n    immutable = true"))
	s.apply()
	s.root("workloads/one", oneMap("one", "data = { a = \"2\" }\n    immutable = true"))
	if out := s.plan(); !strings.Contains(out, "must be replaced") {
		t.Errorf("the plan does not show that it is replaced:\n%s", out)
	}
	s.apply()
	s.root("workloads/one", oneMap("renamed", `data = { a = "2" }`))
	s.apply()
	if m := s.configMap("renamed"); m.Data["a"] != "2" || m.Annotations["strata.dev/unit"] != "test/workloads/one" {
		t.Errorf("it is %v", m)
	}
	if _, err := maps.Get(ctx, "one", metav1.GetOptions{}); err == nil {
		t.Error("the one with the old name is left")
	}

	// A mistake is found in the plan, before anything changes.
	s.root("workloads/one", oneMap("renamed", `data = { a = { b = "c" } }`))
	if out := s.tofu(1, "plan", "-no-color"); !strings.Contains(out, "refuses ConfigMap/default/renamed") {
		t.Errorf("it does not say what is refused:\n%s", out)
	}
	s.root("workloads/one", "")
	s.apply()
	if _, err := maps.Get(ctx, "renamed", metav1.GetOptions{}); err == nil {
		t.Error("it is not deleted")
	}
}

// TestManifestOfOthers never takes over what somebody else made, unless it is imported.
func TestManifestOfOthers(t *testing.T) {
	s := newServed(t)
	ctx := t.Context()
	maps := s.c.Typed.CoreV1().ConfigMaps("default")
	if _, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}, Data: map[string]string{"a": "theirs", "b": "theirs"}}, metav1.CreateOptions{FieldManager: "kubectl-create"}); err != nil {
		t.Fatal(err)
	}
	s.root("workloads/one", oneMap("theirs", `data = { a = "ours" }`))
	s.fails("ConfigMap/default/theirs exists and was not made by Strata but by kubectl-create", "import it")
	if m := s.configMap("theirs"); m.Data["a"] != "theirs" {
		t.Error("it was changed")
	}
	s.tofu(0, "import", "-no-color", "strata_manifest.this", "nodes/acme-test/kubeconfig@v1/ConfigMap/default/theirs")
	s.apply()
	s.unchanged()
	if m := s.configMap("theirs"); m.Data["a"] != "ours" || m.Data["b"] != "theirs" {
		t.Errorf("it is %v", m.Data)
	}
	// Another unit's.
	s.tofu(0, "state", "rm", "strata_manifest.this")
	s.root("workloads/two", oneMap("theirs", `data = { a = "ours" }`))
	s.fails("belongs to the unit test/workloads/one")

	s.root("workloads/two", `resource "strata_manifest" "this" {
  kubeconfig = "KUBECONFIG"
  manifest   = { apiVersion = "v1", metadata = { name = "x" } }
}
`)
	s.fails("apiVersion, kind and metadata.name")
}

// TestManifestWaits says why something is not ready, and protects what holds data.
func TestManifestWaits(t *testing.T) {
	s := newServed(t)
	// No kubelet will ever run it.
	s.root("workloads/one", `resource "strata_manifest" "this" {
  kubeconfig = "KUBECONFIG"
  timeout    = "1s"
  protected  = true
  manifest = {
    apiVersion = "apps/v1"
    kind       = "StatefulSet"
    metadata   = { name = "db", namespace = "default" }
    spec = {
      serviceName = "db"
      selector    = { matchLabels = { app = "db" } }
      template = {
        metadata = { labels = { app = "db" } }
        spec     = { containers = [{ name = "db", image = "example.org/db:1", resources = { limits = { cpu = "0.1" } } }] }
      }
    }
  }
}
`)
	s.fails("StatefulSet/default/db is not ready", "within 1s")
	// It is there, written in the way of the API server, which is no change.
	s.tofu(0, "untaint", "strata_manifest.this")
	s.unchanged()
	s.edit(`serviceName = "db"`, `serviceName = "other"`)
	s.fails("is protected", "would be replaced")
	s.edit(`serviceName = "other"`, `serviceName = "db"`)
	if out := s.tofu(1, "destroy", "-no-color", "-auto-approve"); !strings.Contains(out, "is protected") {
		t.Errorf("it does not say what is protected:\n%s", out)
	}
	// A node that is gone takes everything with it, protected or not.
	if err := os.RemoveAll(filepath.Join(s.dir, "..", "nodes", "acme-test")); err != nil {
		t.Fatal(err)
	}
	s.tofu(0, "destroy", "-no-color", "-auto-approve")
}

// TestSecretsInCluster makes secrets, copies and certificates in a real API server. What
// is made of something follows it.
func TestSecretsInCluster(t *testing.T) {
	s := newServed(t)
	ctx := t.Context()
	if _, err := s.c.Typed.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: cluster.SecretsNamespace}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.root("workloads/one", `locals {
  in = { kubeconfig = "KUBECONFIG", store = "kubernetes:strata-secrets" }
}

resource "strata_secret" "this" {
  kubeconfig = local.in.kubeconfig
  store      = local.in.store
  path       = "acme/test/db/password"
}

resource "strata_secret_copy" "this" {
  kubeconfig = local.in.kubeconfig
  store      = local.in.store
  namespace  = "default"
  name       = "db"
  secrets    = { password = strata_secret.this.path }
  data       = { "users.txt" = "app:{{password}}\n" }
}

resource "strata_certificate_authority" "this" {
  kubeconfig = local.in.kubeconfig
  store      = local.in.store
}

resource "strata_certificate" "this" {
  kubeconfig = local.in.kubeconfig
  store      = local.in.store
  authority  = strata_certificate_authority.this.path
  namespace  = "default"
  name       = "db-tls"
  dns_names  = ["db.default.svc"]
}
`)
	s.apply()
	s.unchanged()
	secret := func(name string) *corev1.Secret {
		t.Helper()
		x, err := s.c.Typed.CoreV1().Secrets("default").Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	value, _, ok, err := cluster.ReadSecret(ctx, s.c, "acme/test/db/password")
	if err != nil || !ok || string(secret("db").Data["users.txt"]) != "app:"+value+"\n" {
		t.Errorf("the copy is none: %v, %v", ok, err)
	}
	// A secret that somebody sets is kept, and copied.
	if _, err := cluster.WriteSecret(ctx, s.c, "acme/test/db/password", "set-by-hand-and-planted", true); err != nil {
		t.Fatal(err)
	}
	if out := s.plan(); !strings.Contains(out, "strata_secret_copy.this will be updated") || strings.Contains(out, "planted") || !strings.Contains(out, "0 to add, 1 to change, 0 to destroy") {
		t.Errorf("the plan does not show that the copy changes, or shows too much:\n%s", out)
	}
	s.apply()
	if got := string(secret("db").Data["users.txt"]); got != "app:set-by-hand-and-planted\n" {
		t.Errorf("the copy is %q", got)
	}
	// A copy that somebody edited is made right.
	x := secret("db")
	x.Data = map[string][]byte{"users.txt": []byte("nobody")}
	if _, err := s.c.Typed.CoreV1().Secrets("default").Update(ctx, x, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.apply()
	if got := string(secret("db").Data["users.txt"]); got != "app:set-by-hand-and-planted\n" {
		t.Errorf("the copy is %q", got)
	}
	// A certificate follows its authority.
	before := secret("db-tls")
	if err := cluster.DeleteSecret(ctx, s.c, "acme/test/platform/certificate-authority"); err != nil {
		t.Fatal(err)
	}
	s.apply()
	s.apply() // the new authority is known only when it is made
	s.unchanged()
	after := secret("db-tls")
	if after.Type != corev1.SecretTypeTLS || string(after.Data["ca.crt"]) == string(before.Data["ca.crt"]) || string(after.Data["tls.crt"]) == string(before.Data["tls.crt"]) {
		t.Error("the certificate is by an authority that is no more")
	}
	for _, file := range []string{"terraform.tfstate", "terraform.tfstate.backup"} {
		if text := read(t, filepath.Join(s.dir, file)); strings.Contains(text, "planted") || strings.Contains(text, value) || strings.Contains(text, "PRIVATE") {
			t.Errorf("%s has a secret", file)
		}
	}
	s.tofu(0, "destroy", "-no-color", "-auto-approve")
	for _, ns := range []string{"default", cluster.SecretsNamespace} {
		if left, err := s.c.Typed.CoreV1().Secrets(ns).List(context.Background(), metav1.ListOptions{}); err != nil || len(left.Items) > 0 {
			t.Errorf("%d secrets are left in %s, %v", len(left.Items), ns, err)
		}
	}
}
