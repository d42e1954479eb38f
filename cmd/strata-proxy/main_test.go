package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/proxytest"
)

func TestArguments(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, []byte(`{"trustDomain":"a.example","namespace":"apps","workload":"web","outbound":[{"name":"api"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args        string
		stdout, err string
		usage       bool
	}{
		{"", "", "no command", true},
		{"serve", "", `no command "serve"`, true},
		{"--help", "Usage: strata-proxy COMMAND", "", false},
		{"version", "strata-proxy unknown", "", false},
		{"sidecar --help", "-config", "", false},
		{"sidecar --nothing", "", "not defined: -nothing", true},
		{"sidecar x", "", `takes no argument "x"`, true},
		{"sidecar --config /does/not/exist", "", "no such file", false},
		{"gateway --help", "-control", "", false},
		{"gateway", "", "-name NAMESPACE/NAME", true},
		{"gateway --name shop", "", "-name NAMESPACE/NAME", true},
		{"gateway --name a/b --namespace c", "", "-name NAMESPACE/NAME", true},
		{"gateway --config x --trust-domain Not.A.Domain --credentials " + bad + " --health-port 0", "", "trust domain", false},
		{"sidecar --config " + bad, "", "outbound[0].host", false},
	} {
		var stdout bytes.Buffer
		err := run(t.Context(), strings.Fields(c.args), &stdout, io.Discard)
		var usage usageError
		if errors.As(err, &usage) != c.usage || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %v, want %q", c.args, err, c.err)
		}
		if !strings.Contains(stdout.String(), c.stdout) {
			t.Errorf("%q prints %q", c.args, stdout.String())
		}
	}
}

// TestSidecar runs the command until it is told to stop.
func TestSidecar(t *testing.T) {
	ca, err := proxytest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	v, err := proxytest.NewVolume(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	key, err := ca.Issue(proxytest.ID("web"), nil)
	if err != nil {
		t.Fatal(err)
	}
	conf, err := json.Marshal(config.Sidecar{TrustDomain: proxytest.Domain, Namespace: "apps", Workload: "web"})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, conf, 0o600); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.%d.255.1", 1+os.Getpid()%250)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"sidecar", "--config", file, "--credentials", v.Key(), "--trust", v.Trust(), "--address", address}, io.Discard, io.Discard)
	}()
	until := func(what string, want int) {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			resp, err := http.Get(fmt.Sprintf("http://%s:%d%s", address, config.HealthPort, config.ReadyPath))
			if err == nil {
				resp.Body.Close()
				if resp.StatusCode == want {
					return
				}
			}
			if time.Now().After(deadline) {
				t.Fatalf("never: %s (%v)", what, err)
			}
		}
	}
	until("waits for its credentials", http.StatusServiceUnavailable)
	if err := v.Write(key, ca.Root()); err != nil {
		t.Fatal(err)
	}
	until("ready", http.StatusOK)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
