package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// otlpClient sends spans by OTLP over HTTP, in protobuf. It is the client's part of
// otlptracehttp, which links all of gRPC and a third of this program's memory with it.
// Batches that are refused are dropped: the next one comes in seconds.
type otlpClient struct {
	url     string
	headers http.Header
	timeout time.Duration
	client  *http.Client
}

// newOTLPClient reads the environment as
// https://opentelemetry.io/docs/specs/otel/protocol/exporter has it; it returns nil where
// no endpoint is named.
func newOTLPClient(getenv func(string) string) (*otlpClient, error) {
	// Each variable has a form for spans alone, which goes before.
	get := func(name string) string {
		if v := getenv("OTEL_EXPORTER_OTLP_TRACES_" + name); v != "" {
			return v
		}
		return getenv("OTEL_EXPORTER_OTLP_" + name)
	}
	c := &otlpClient{url: getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), headers: http.Header{}, timeout: 10 * time.Second}
	if c.url == "" {
		base := getenv("OTEL_EXPORTER_OTLP_ENDPOINT")
		if base == "" {
			return nil, nil
		}
		c.url = strings.TrimSuffix(base, "/") + "/v1/traces"
	}
	if u, err := url.Parse(c.url); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("OTLP endpoint %q is no http or https URL", c.url)
	}
	if p := get("PROTOCOL"); p != "" && p != "http/protobuf" {
		return nil, fmt.Errorf("OTLP protocol %q; only http/protobuf is spoken", p)
	}
	if ms := get("TIMEOUT"); ms != "" {
		n, err := strconv.Atoi(ms)
		if err != nil || n <= 0 {
			return nil, fmt.Errorf("OTLP timeout %q is no number of milliseconds", ms)
		}
		c.timeout = time.Duration(n) * time.Millisecond
	}
	for pair := range strings.SplitSeq(get("HEADERS"), ",") {
		name, value, ok := strings.Cut(pair, "=")
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil {
			// The value may be a secret.
			return nil, fmt.Errorf("OTLP header %q has no value that can be read", name)
		}
		c.headers.Set(name, value)
	}
	c.headers.Set("Content-Type", "application/x-protobuf")
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1, IdleConnTimeout: IdleTimeout, ForceAttemptHTTP2: true}
	if file := get("CERTIFICATE"); file != "" {
		roots, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("OTLP certificate: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(roots) {
			return nil, fmt.Errorf("OTLP certificate: %s has none", file)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	c.client = &http.Client{Transport: transport}
	return c, nil
}

// Start implements otlptrace.Client.
func (c *otlpClient) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *otlpClient) Stop(context.Context) error {
	c.client.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client.
func (c *otlpClient) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// TracesData is on the wire what ExportTraceServiceRequest is, whose package has gRPC.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header = c.headers.Clone()
	resp, err := c.client.Do(r)
	if err != nil {
		return fmt.Errorf("send %d bytes of spans: %w", len(body), err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)); err != nil {
		return fmt.Errorf("send spans: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("send spans to %s: %s", c.url, resp.Status)
	}
	return nil
}
