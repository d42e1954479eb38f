package tofu

import (
	"slices"
	"strings"
)

// passed are variables of the caller that OpenTofu and its providers need. What
// changes how OpenTofu behaves (TF_LOG, TF_CLI_ARGS, TF_VAR_..., TF_DATA_DIR) is
// not among them: a plan must not depend on what is left in somebody's shell.
var (
	passed = []string{
		"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "SSH_AUTH_SOCK",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
	}
	credentials = []string{
		"AWS_", "GOOGLE_", "GCLOUD_", "CLOUDSDK_", "GCE_", "ARM_", "AZURE_", "MSI_", "IDENTITY_", "ACTIONS_ID_TOKEN_",
		"KUBE_", "PG", "VAULT_", "BAO_",
	}
)

// Environ returns the environment for tofu's processes, made of the caller's.
// Offline processes get no credentials. also names further variables that were
// asked for; one that ends in "*" stands for all that begin so.
func Environ(caller []string, offline bool, also []string) []string {
	var out []string
	for _, kv := range caller {
		name, _, _ := strings.Cut(kv, "=")
		ok := slices.Contains(passed, name)
		for _, p := range credentials {
			ok = ok || !offline && strings.HasPrefix(name, p)
		}
		for _, p := range also {
			prefix, wild := strings.CutSuffix(p, "*")
			ok = ok || p == name || wild && strings.HasPrefix(name, prefix)
		}
		if ok {
			out = append(out, kv)
		}
	}
	slices.Sort(out)
	return append(out, "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1")
}
