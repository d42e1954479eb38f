package compile_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stratahq/strata/internal/addr"
)

// TestSecretsOfAcme tells what people give from what units make, in every environment.
func TestSecretsOfAcme(t *testing.T) {
	for _, env := range []string{"local", "prod"} {
		c := compiled(t, open(t, acme(t)), env)
		given := c.SecretsGiven()
		token := "acme/" + env + "/payments/provider-token"
		if got := given[token]; !slices.Equal(got, []string{"checkout"}) {
			t.Errorf("%s: %s is for %v; known: %v", env, token, got, slices.Sorted(maps.Keys(given)))
		}
		for path := range given {
			if strings.Contains(path, "/workloads/") || strings.Contains(path, "/shared/") {
				t.Errorf("%s: %s is a unit's", env, path)
			}
		}
		if c.SecretPath("payments/provider-token") != token || c.SecretKey(token) != "payments/provider-token" {
			t.Errorf("%s: path and key of %s", env, token)
		}
		for path, want := range map[string]string{
			"acme/" + env + "/workloads/checkout/db/password": "workloads/checkout/db",
			"acme/" + env + "/platform/certificate-authority": "platform/secrets",
			token: "",
			"other/" + env + "/workloads/checkout/db/password": "",
		} {
			maker, ok := c.SecretMaker(path)
			if ok != (want != "") || ok && maker != (addr.Unit{Env: env, Name: want}) {
				t.Errorf("%s: %s is made by %v, %v; want %q", env, path, maker, ok, want)
			}
		}
	}
}
