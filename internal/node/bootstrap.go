package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/gateway/definitions"
)

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

// attend gives the cluster what its components need, again and again until that
// succeeds, and says from then on in a file whether the node can run pods.
func (c Config) attend(ctx context.Context, log *slog.Logger) {
	began := time.Now()
	client, err := c.bootstrap(ctx)
	for err != nil {
		if ctx.Err() != nil {
			return
		}
		log.Error("the cluster could not be set up", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
		client, err = c.bootstrap(ctx)
	}
	log.Info("the cluster is set up", "after", time.Since(began).Round(time.Millisecond).String())
	ready := false
	for ctx.Err() == nil {
		why := c.healthy(ctx, client, began)
		switch {
		case ctx.Err() != nil:
			return
		case why == nil && !ready:
			ready, err = true, write(c.readyFile(), []byte(time.Now().UTC().Format(time.RFC3339)+"\n"), 0o644)
			log.Info("the node is ready", "after", time.Since(began).Round(time.Millisecond).String())
		case why != nil && ready:
			ready, err = false, os.RemoveAll(c.readyFile())
			log.Error("the node is not ready any more", "because", why)
		}
		if err != nil {
			log.Error("the node's state could not be written", "error", err)
		}
		pause := 2 * time.Second
		if !ready {
			pause = 100 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (c Config) readyFile() string { return c.path("run", "ready") }

// bootstrap applies the objects that the node's components need.
func (c Config) bootstrap(ctx context.Context) (*cluster.Client, error) {
	if err := c.apiReady(ctx); err != nil {
		return nil, err
	}
	client, err := cluster.Open(c.path("pki", "root.kubeconfig"))
	if err != nil {
		return nil, err
	}
	own, err := fs.Sub(addons, "addons")
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(c.cert("ca"))
	if err != nil {
		return nil, err
	}
	values := strings.NewReplacer(`"NODE"`, `"`+c.Addr().String()+`"`, `"CA"`, `"`+base64.StdEncoding.EncodeToString(ca)+`"`)
	for _, folder := range []fs.FS{definitions.Files(), own} {
		if err := applyAll(ctx, client, folder, values); err != nil {
			return nil, err
		}
	}
	return client, nil
}

// applyAll applies the objects in the files of a folder, with values put in.
func applyAll(ctx context.Context, client *cluster.Client, folder fs.FS, values *strings.Replacer) error {
	files, err := fs.Glob(folder, "*.yaml")
	if err != nil {
		return err
	}
	for _, file := range files {
		b, err := fs.ReadFile(folder, file)
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
	return nil
}

// healthy says why the node cannot run pods.
func (c Config) healthy(ctx context.Context, client *cluster.Client, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	n, err := client.Typed.CoreV1().Nodes().Get(ctx, c.Hostname(), metav1.GetOptions{})
	if err != nil {
		return err
	}
	if r, err := http.Get("http://127.0.0.1:10248/healthz"); err != nil {
		return fmt.Errorf("kubelet: %w", err)
	} else if r.Body.Close(); r.StatusCode != http.StatusOK {
		return fmt.Errorf("kubelet: %s", r.Status)
	}
	for _, network := range []struct{ network, address string }{{"unix", c.Socket()}, {"unix", c.policySocket()}} {
		conn, err := net.DialTimeout(network.network, network.address, time.Second)
		if err != nil {
			return err
		}
		conn.Close()
	}
	for _, cond := range n.Status.Conditions {
		// One that was ready before it was stopped says so until its kubelet speaks.
		if cond.Type == corev1.NodeReady && cond.LastHeartbeatTime.After(since.Add(-time.Second)) {
			if cond.Status == corev1.ConditionTrue {
				return nil
			}
			return fmt.Errorf("kubelet says: %s", cond.Message)
		}
	}
	return errors.New("kubelet has not spoken yet")
}
