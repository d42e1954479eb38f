package proxy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

func TestOTLPEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		env     map[string]string
		url     string
		headers map[string]string
		timeout time.Duration
		err     string
	}{
		"nothing":         {},
		"base":            {env: map[string]string{"ENDPOINT": "http://c:4318/"}, url: "http://c:4318/v1/traces", timeout: 10 * time.Second},
		"path":            {env: map[string]string{"ENDPOINT": "http://c/otlp"}, url: "http://c/otlp/v1/traces", timeout: 10 * time.Second},
		"spans alone":     {env: map[string]string{"ENDPOINT": "http://c", "TRACES_ENDPOINT": "https://t/x", "TIMEOUT": "1", "TRACES_TIMEOUT": "1500"}, url: "https://t/x", timeout: 1500 * time.Millisecond},
		"headers":         {env: map[string]string{"ENDPOINT": "http://c", "HEADERS": "Authorization=Bearer%20x, k = v ,"}, url: "http://c/v1/traces", headers: map[string]string{"Authorization": "Bearer x", "K": "v"}, timeout: 10 * time.Second},
		"no URL":          {env: map[string]string{"ENDPOINT": "c:4317"}, err: `"c:4317/v1/traces" is no http or https URL`},
		"gRPC":            {env: map[string]string{"ENDPOINT": "http://c", "PROTOCOL": "grpc"}, err: `protocol "grpc"`},
		"no number":       {env: map[string]string{"ENDPOINT": "http://c", "TIMEOUT": "1s"}, err: `timeout "1s"`},
		"bad header":      {env: map[string]string{"ENDPOINT": "http://c", "HEADERS": "token=%zzsecret"}, err: `header "token"`},
		"no certificates": {env: map[string]string{"ENDPOINT": "http://c", "CERTIFICATE": "/dev/null"}, err: "/dev/null has none"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newOTLPClient(func(v string) string { return c.env[strings.TrimPrefix(v, "OTEL_EXPORTER_OTLP_")] })
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "secret") {
					t.Errorf("got %v, want %q", err, c.err)
				}
				return
			}
			if err != nil || (got == nil) != (c.url == "") {
				t.Fatalf("got %v, %v", got, err)
			}
			if got == nil {
				return
			}
			if got.url != c.url || got.timeout != c.timeout {
				t.Errorf("got %s, %s", got.url, got.timeout)
			}
			for name, want := range c.headers {
				if v := got.headers.Get(name); v != want {
					t.Errorf("%s: %q", name, v)
				}
			}
		})
	}
}

func TestOTLPRefused(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }))
	defer s.Close()
	c, err := newOTLPClient(func(v string) string { return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": s.URL}[v] })
	if err != nil {
		t.Fatal(err)
	}
	if err := c.UploadTraces(t.Context(), []*tracepb.ResourceSpans{{}}); err == nil || !strings.Contains(err.Error(), "429") {
		t.Errorf("got %v", err)
	}
}
