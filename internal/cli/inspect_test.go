package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
)

func TestPorts(t *testing.T) {
	for line, want := range map[string]string{
		"local api 8080":          "local api | 8080",
		"api 18080:8080 0:http":   "api | 18080:8080 0:http",
		"api :http":               "api | :http",
		"api http":                "api http |",
		"local --":                "local -- |",
		"local workloads/a/db 1 ": "local workloads/a/db | 1",
	} {
		names, ports := cutPorts(strings.Fields(line))
		if got := strings.TrimSpace(strings.Join(names, " ") + " | " + strings.Join(ports, " ")); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}}}}
	for spec, want := range map[string]forwarded{
		"5432": {5432, 5432, "5432"}, "15432:5432": {15432, 5432, "5432"}, "0:http": {0, 8080, "http"}, ":5432": {0, 5432, "5432"},
	} {
		if got, err := parsePort(spec, pod); got != want || err != nil {
			t.Errorf("%q: %+v, %v", spec, got, err)
		}
	}
	for spec, says := range map[string]string{"0:grpc": "http (8080)", "70000:80": "up to 65535", "80:70000": "up to 65535", "0:0": "up to 65535"} {
		if _, err := parsePort(spec, pod); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v does not say %q", spec, err, says)
		}
	}
}

func TestCrop(t *testing.T) {
	for want, page := range map[string]string{"a\nb": "a\nb\n", "a\nb\nc": "a\nb\nc\n\n", "a\nb\n… and 2 lines, without --watch": "a\nb\nc\nd\n"} {
		if got := crop(page, 3); got != want {
			t.Errorf("%q: %q, want %q", page, got, want)
		}
	}
}

const ofNode = `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:6443", certificate-authority: ca.crt}}, {name: other, cluster: {server: "https://other"}}]
users: [{name: admin, user: {client-certificate-data: AAAA, client-key-data: BBBB}}]
contexts: [{name: x, context: {cluster: c, user: admin}}, {name: z, context: {cluster: other, user: admin}}]
current-context: x
`

const ofUser = `apiVersion: v1
kind: Config
clusters: [{name: work, cluster: {server: "https://work", extensions: [{name: mine, extension: {a: 1}}]}}]
users: [{name: admin, user: {token: secret-of-theirs}}]
contexts: [{name: work, context: {cluster: work, user: admin}}]
current-context: work
`

// TestMergeKubeconfig wants a context to come beside what is there, under a name of its
// own, whole and readable by nobody else, also where the file is a link.
func TestMergeKubeconfig(t *testing.T) {
	dir := t.TempDir()
	node, real, link := filepath.Join(dir, "node"), filepath.Join(dir, "real"), filepath.Join(dir, "config")
	for file, text := range map[string]string{node: ofNode, real: ofUser, filepath.Join(dir, "ca.crt"): "authority"} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	add, err := oneContext(node, "strata-acme-local")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is there already
		if err := mergeKubeconfig(link, add); err != nil {
			t.Fatal(err)
		}
	}
	if to, err := os.Readlink(link); err != nil || to != real {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	if info, err := os.Stat(real); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	got, err := clientcmd.LoadFromFile(real)
	if err != nil {
		t.Fatal(err)
	}
	ours := got.Clusters["strata-acme-local"]
	if got.CurrentContext != "strata-acme-local" || ours == nil || string(ours.CertificateAuthorityData) != "authority" || ours.CertificateAuthority != "" {
		t.Errorf("current %q, cluster %+v", got.CurrentContext, ours)
	}
	if got.AuthInfos["admin"].Token != "secret-of-theirs" || len(got.AuthInfos["strata-acme-local"].ClientKeyData) == 0 || len(got.Clusters) != 2 || got.Clusters["work"].Extensions["mine"] == nil {
		t.Errorf("users %v, clusters %v", got.AuthInfos, got.Clusters)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.lock"))
	if temporary, _ := filepath.Glob(filepath.Join(dir, ".kubeconfig-*")); err != nil || len(left)+len(temporary) > 0 {
		t.Errorf("left behind: %v %v %v", left, temporary, err)
	}
}

// TestMergeKubeconfigLeavesAlone what it cannot read, and what another program writes.
func TestMergeKubeconfigLeavesAlone(t *testing.T) {
	dir := t.TempDir()
	node, file := filepath.Join(dir, "node"), filepath.Join(dir, "new", "config")
	if err := os.WriteFile(node, []byte(strings.ReplaceAll(ofNode, ", certificate-authority: ca.crt", "")), 0o600); err != nil {
		t.Fatal(err)
	}
	add, err := oneContext(node, "strata-x")
	if err != nil {
		t.Fatal(err)
	}
	if err := mergeKubeconfig(file, add); err != nil {
		t.Fatal("where there is none:", err)
	}
	const broken = "contexts: [unclosed"
	if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := mergeKubeconfig(file, add); err == nil {
		t.Error("a broken file was taken for an empty one")
	}
	if err := os.WriteFile(file+".lock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := mergeKubeconfig(file, add); err == nil || !strings.Contains(err.Error(), ".lock") {
		t.Errorf("with a lock: %v", err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != broken {
		t.Errorf("%q, %v", b, err)
	}
}

func TestSecretValue(t *testing.T) {
	file := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(file, []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ stdin, file, want, says string }{
		{"value\n", "", "value", ""}, {"a\nb\r\n", "", "a\nb", ""}, {"two\n\n", "", "two\n", ""}, {"raw\n", "-", "raw\n", ""}, {"ignored", file, "from file\n", ""},
		{"\n", "", "", "empty"}, {strings.Repeat("x", maxSecret+1), "", "", "longer"}, {"", file + "x", "", "no such file"},
	} {
		a := &app{stdin: strings.NewReader(c.stdin)}
		got, err := a.secretValue("key", c.file)
		if got != c.want || (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.10q from %q: %q, %v", c.stdin, c.file, got, err)
		}
		if err != nil && slices.Contains(strings.Fields(err.Error()), c.stdin) {
			t.Errorf("%v tells the value", err)
		}
	}
}
