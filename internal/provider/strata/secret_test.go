package strata

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/stratahq/strata/internal/cluster"
)

const kubeconfig = "/nodes/x/kubeconfig"

func fakeEnvironment(objects ...*corev1.Secret) (*environment, *cluster.Client) {
	clients := fake.NewClientset()
	for _, o := range objects {
		if err := clients.Tracker().Add(o); err != nil {
			panic(err)
		}
	}
	c := &cluster.Client{Typed: clients}
	return &environment{
		platform: "acme", name: "local", labels: map[string]string{"unit": "workloads/api/db"}, clients: map[string]*cluster.Client{kubeconfig: c},
	}, c
}

func text(m map[string]string) types.Map {
	v, _ := types.MapValueFrom(context.Background(), types.StringType, m)
	return v
}

func TestFill(t *testing.T) {
	values := map[string]string{"password": "s3cret", "user": "app"}
	got, err := fill("user {{ user }} on >{{password}} {plain} {{", values)
	if err != nil || got != "user app on >s3cret {plain} {{" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := fill("{{pasword}}", values); err == nil || !strings.Contains(err.Error(), "pasword") || !strings.Contains(err.Error(), "password, user") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v", err)
	}
}

func TestSecretCopyFollowsItsSource(t *testing.T) {
	ctx := context.Background()
	env, c := fakeEnvironment()
	r := &secretCopy{env}
	m := secretCopyModel{
		Kubeconfig: types.StringValue(kubeconfig), Store: types.StringValue(clusterStore), Namespace: types.StringValue("strata-data"), Name: types.StringValue("db"),
		Secrets: text(map[string]string{"password": "acme/local/db/password"}), Data: text(map[string]string{"password": "{{password}}", "users": "app:{{password}}\n"}),
	}
	if err := r.write(ctx, &m); err == nil || !strings.Contains(err.Error(), "acme/local/db/password") {
		t.Fatalf("a copy of nothing: %v", err)
	}
	versions := map[string]bool{}
	for _, value := range []string{"one", "two"} {
		if _, err := cluster.WriteSecret(ctx, c, "acme/local/db/password", value, true); err != nil {
			t.Fatal(err)
		}
		// The fake API server gives no versions of objects; the real one does.
		s, err := c.Typed.CoreV1().Secrets(cluster.SecretsNamespace).Get(ctx, cluster.SecretName("acme/local/db/password"), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s.ResourceVersion = value
		if _, err := c.Typed.CoreV1().Secrets(cluster.SecretsNamespace).Update(ctx, s, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := r.write(ctx, &m); err != nil {
			t.Fatal(err)
		}
		versions[m.Version.ValueString()] = true
		got, err := getSecret(ctx, c, "strata-data", "db")
		if err != nil || string(got.Data["users"]) != "app:"+value+"\n" || string(got.Data["password"]) != value || got.Annotations[unitAnnotation] != "local/workloads/api/db" {
			t.Errorf("%v, %v", got, err)
		}
	}
	if len(versions) != 2 {
		t.Errorf("the version does not change: %v", versions)
	}
}

func TestSecretOfOthersIsNotTakenOver(t *testing.T) {
	theirs := func(annotations map[string]string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "strata-data", Name: "db", Annotations: annotations}}
	}
	for says, s := range map[string]*corev1.Secret{
		"not made by Strata":                          theirs(nil),
		"unit local/workloads/web/db of the platform": theirs(map[string]string{unitAnnotation: "local/workloads/web/db"}),
	} {
		env, c := fakeEnvironment(s)
		err := env.putSecret(context.Background(), c, "strata-data", "db", corev1.SecretTypeOpaque, map[string][]byte{"a": []byte("b")})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v does not say %q", err, says)
		}
	}
}

func TestStores(t *testing.T) {
	ctx := context.Background()
	env, _ := fakeEnvironment()
	env.Secrets = t.TempDir()
	for _, name := range []string{"", clusterStore} {
		st, err := env.store(name, kubeconfig)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, ok, err := st.read(ctx, "a/b"); ok || err != nil {
			t.Errorf("%q has what nobody made: %v", name, err)
		}
		for _, value := range []string{"one", "two"} {
			if err := st.create(ctx, "a/b", value); err != nil {
				t.Fatal(err)
			}
			if got, version, ok, err := st.read(ctx, "a/b"); got != "one" || version == "" || !ok || err != nil {
				t.Errorf("%q: %q %q %v %v", name, got, version, ok, err)
			}
		}
		for range 2 {
			if err := st.remove(ctx, "a/b"); err != nil {
				t.Fatal(err)
			}
		}
		if err := st.create(ctx, "../x", "v"); err == nil {
			t.Errorf("%q takes a path that leads out", name)
		}
	}
	for name, config := range map[string]string{"vault": kubeconfig, clusterStore: ""} {
		if _, err := env.store(name, config); err == nil {
			t.Errorf("there is a store %q with kubeconfig %q", name, config)
		}
	}
}
