package cluster

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes/fake"
)

func TestSecretName(t *testing.T) {
	paths := []string{
		"acme/local/workloads/api/db/password", "acme/local/workloads/api-db/password", "acme/local/workloads/api/DB/password",
		"///", "", "_", strings.Repeat("long/", 60) + "password", strings.Repeat("long/", 61) + "password",
	}
	seen := map[string]string{}
	for _, p := range paths {
		name := SecretName(p)
		if msgs := validation.IsDNS1123Label(name); len(msgs) > 0 {
			t.Errorf("%q becomes %q: %s", p, name, msgs[0])
		}
		if other, ok := seen[name]; ok {
			t.Errorf("%q and %q both become %q", p, other, name)
		}
		seen[name] = p
	}
	if got := SecretName(paths[0]); !strings.HasPrefix(got, "acme-local-workloads-api-db-password-") {
		t.Errorf("%q cannot be read", got)
	}
}

func TestSecretIsWrittenOnceUnlessReplaced(t *testing.T) {
	ctx := context.Background()
	c := &Client{Typed: fake.NewClientset()}
	const path = "acme/local/db/password"
	for _, step := range []struct {
		value         string
		replace, want bool
		then          string
	}{
		{"first", false, true, "first"},
		{"second", false, false, "first"},
		{"third", true, true, "third"},
	} {
		written, err := WriteSecret(ctx, c, path, step.value, step.replace)
		if err != nil || written != step.want {
			t.Fatalf("writing %q: written %v, %v; want %v", step.value, written, err, step.want)
		}
		if got, _, ok, err := ReadSecret(ctx, c, path); got != step.then || !ok || err != nil {
			t.Fatalf("after writing %q: %q, %v, %v; want %q", step.value, got, ok, err, step.then)
		}
	}
	for range 2 { // the second time there is none
		if err := DeleteSecret(ctx, c, path); err != nil {
			t.Fatal(err)
		}
		if _, _, ok, err := ReadSecret(ctx, c, path); ok || err != nil {
			t.Fatalf("a deleted secret is there: %v, %v", ok, err)
		}
	}
}

func TestSecretOfSomebodyElseIsLeftAlone(t *testing.T) {
	ctx := context.Background()
	const path = "acme/local/db/password"
	c := &Client{Typed: fake.NewClientset(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: SecretName(path), Namespace: SecretsNamespace},
		Data:       map[string][]byte{SecretKey: []byte("theirs")},
	})}
	_, writing := WriteSecret(ctx, c, path, "ours", true)
	_, _, _, reading := ReadSecret(ctx, c, path)
	for what, err := range map[string]error{"write": writing, "read": reading, "delete": DeleteSecret(ctx, c, path)} {
		if err == nil || !strings.Contains(err.Error(), SecretName(path)) {
			t.Errorf("%s: %v does not name the Secret", what, err)
		}
	}
	s, err := c.Typed.CoreV1().Secrets(SecretsNamespace).Get(ctx, SecretName(path), metav1.GetOptions{})
	if err != nil || string(s.Data[SecretKey]) != "theirs" {
		t.Errorf("it was changed: %v, %v", s, err)
	}
}
