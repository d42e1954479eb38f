package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/cluster"
)

//go:generate sh -c "cd ../.. && go run tools/gatewayapi/main.go"

//go:embed addons/*.yaml
var addons embed.FS

// apiReady waits until the API server says that it is ready. It asks with the root
// certificate, since nobody may ask without one.
func (c Config) apiReady(ctx context.Context) error {
	pair, err := tls.LoadX509KeyPair(c.cert("root"), c.key("root"))
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(c.cert("ca"))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	t := &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS12}}
	defer t.CloseIdleConnections()
	client := &http.Client{Transport: t, Timeout: 5 * time.Second}
	return poll(ctx, func() bool {
		r, err := client.Get(c.inside() + "/readyz")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// bootstrap gives the cluster what its components need, waits until it can run pods
// and says so in the file "ready".
func (c Config) bootstrap(ctx context.Context, log *slog.Logger) error {
	began := time.Now()
	if err := c.apiReady(ctx); err != nil {
		return err
	}
	log.Info("the API server is ready", "after", time.Since(began).Round(time.Millisecond).String())
	client, err := cluster.Open(c.path("pki", "root.kubeconfig"))
	if err != nil {
		return err
	}
	files, err := fs.Glob(addons, "addons/*.yaml")
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(c.cert("ca"))
	if err != nil {
		return err
	}
	values := strings.NewReplacer(`"NODE"`, `"`+c.Addr().String()+`"`, `"CA"`, `"`+base64.StdEncoding.EncodeToString(ca)+`"`)
	for _, file := range files {
		b, err := addons.ReadFile(file)
		if err != nil {
			return err
		}
		objs, err := cluster.Decode([]byte(values.Replace(string(b))))
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		for _, obj := range objs {
			if _, err := client.Apply(ctx, obj, cluster.ApplyOptions{Force: true}); err != nil {
				return fmt.Errorf("%s: %s: %w", file, cluster.Name(obj), err)
			}
		}
	}
	err = poll(ctx, func() bool {
		n, err := client.Typed.CoreV1().Nodes().Get(ctx, c.Hostname(), metav1.GetOptions{})
		if err != nil {
			return false
		}
		for _, cond := range n.Status.Conditions {
			// One that was ready before it was stopped says so until its kubelet speaks.
			if cond.Type == corev1.NodeReady && cond.Status == corev1.ConditionTrue && cond.LastHeartbeatTime.After(began.Add(-time.Second)) {
				return true
			}
		}
		return false
	})
	if err != nil {
		return err
	}
	log.Info("the node is ready", "after", time.Since(began).Round(time.Millisecond).String())
	return write(c.path("run", "ready"), []byte(time.Now().UTC().Format(time.RFC3339)+"\n"), 0o644)
}
