package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/cluster"
)

const (
	// offered is how many requests per second the shop gets, for how long, and after how
	// much quiet.
	offered  = 500
	quiet    = 30 * time.Second
	loaded   = 3 * time.Minute
	sampling = 5 * time.Second
	// patience is how long to wait for the replicas to come down again.
	patience = 20 * time.Minute

	scaled, team = "storefront", "storefront"
)

// reading is how an autoscaler was at a moment.
type reading struct {
	at       time.Duration
	replicas int32   // that are there
	ready    int32   // that answer
	answered float64 // requests per second since the last reading
}

// scaling puts load on the example's shop and takes it away again, prints what its
// autoscaler makes of that, and draws it.
func scaling(strata, acme, plot string) error {
	if os.Geteuid() != 0 {
		return errors.New("a node needs root")
	}
	return withExample(strata, acme, func(b *localBench, _ string) error {
		url, err := b.shop()
		if err != nil {
			return err
		}
		client, err := cluster.Open(filepath.Join(b.nodes, "acme-local", "kubeconfig"))
		if err != nil {
			return err
		}
		readings, failed, err := observe(client, url)
		if err != nil {
			return err
		}
		printScaling(readings, failed)
		return os.WriteFile(plot, draw(readings), 0o644)
	})
}

// shop brings the example up and returns the URL of its page.
func (b *localBench) shop() (string, error) {
	var out bytes.Buffer
	cmd := b.command("", "up", "-o", "json")
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", err
	}
	var doc struct {
		Routes map[string]string `json:"routes"`
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		return "", err
	}
	url, ok := doc.Routes[scaled+".public"]
	if !ok {
		return "", fmt.Errorf("%s has no public route: %v", scaled, doc.Routes)
	}
	return strings.TrimSuffix(url, "/"), nil
}

// observe reads how many replicas there are from before the load until they have come
// down again. It returns how many requests were not answered.
func observe(client *cluster.Client, url string) ([]reading, int64, error) {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	start := time.Now()
	var answered, failed atomic.Int64
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Add(1)
	go func() {
		defer wg.Done()
		load(ctx, url+"/healthz", &answered, &failed)
	}()
	var out []reading
	last, lastAt := int64(0), start
	for {
		select {
		case <-ctx.Done():
			return out, failed.Load(), fmt.Errorf("the replicas have not come down within %s", patience)
		case <-time.After(sampling):
		}
		d, err := client.Typed.AppsV1().Deployments(team).Get(ctx, scaled, metav1.GetOptions{})
		if err != nil {
			return out, failed.Load(), err
		}
		now, n := time.Now(), answered.Load()
		r := reading{now.Sub(start), d.Status.Replicas, d.Status.ReadyReplicas, float64(n-last) / now.Sub(lastAt).Seconds()}
		last, lastAt = n, now
		out = append(out, r)
		fmt.Fprintf(os.Stderr, "bench: %3.0f s  %d replicas, %d ready  %.0f requests per second\n", r.at.Seconds(), r.replicas, r.ready, r.answered)
		if r.at > quiet+loaded && r.replicas <= out[0].replicas {
			return out, failed.Load(), nil
		}
	}
}

// load asks for a page so many times a second, between two times of quiet.
func load(ctx context.Context, url string, answered, failed *atomic.Int64) {
	// Names below localhost are this machine, which not every resolver knows.
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		var d net.Dialer
		return d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: dial, MaxIdleConnsPerHost: 64,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // load for a page of this machine, whose certificate is of its own authority
	}}
	if !pause(ctx, quiet) {
		return
	}
	until := time.Now().Add(loaded)
	tick := time.NewTicker(time.Second / offered)
	defer tick.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, 64)
	for time.Now().Before(until) && ctx.Err() == nil {
		<-tick.C
		slots <- struct{}{}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() { <-slots }()
			resp, err := c.Get(url)
			if err != nil {
				failed.Add(1)
				return
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				failed.Add(1)
				return
			}
			answered.Add(1)
		}()
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// printScaling prints the page that the plot is on.
func printScaling(list []reading, failed int64) {
	first := list[0].replicas
	most, more, down := first, time.Duration(0), time.Duration(0)
	for _, r := range list {
		if r.replicas > first && more == 0 {
			more = r.at - quiet
		}
		most = max(most, r.replicas)
		if r.replicas == most {
			down = 0
		} else if most > first && down == 0 {
			down = r.at - quiet - loaded
		}
	}
	fmt.Printf(`# Scaling

<!-- Generated by go run ./internal/bench -only scaling. -->

%s, %s, %d cores. The shop of examples/acme on this machine, whose autoscaler wants 150 requests per second and pod,
is asked for %d a second during %s. Command: `+"`go run ./internal/bench -only scaling > docs/scaling.md`"+`.

![Requests per second and replicas over time](scaling.svg)

| what | |
| --- | ---: |
| replicas before | %d |
| first further replica after the load began | %.0f s |
| most replicas | %d |
| first replica fewer after the load ended | %.0f s |
| as before after the load ended | %.0f s |
| requests that were not answered | %d |
`, time.Now().Format(time.DateOnly), cpuModel(), runtime.NumCPU(), offered, loaded, first, more.Seconds(), most, down.Seconds(), (list[len(list)-1].at - quiet - loaded).Seconds(), failed)
}

// draw draws the readings: requests per second as a line, replicas as steps.
func draw(list []reading) []byte {
	const w, h, left, top = 900.0, 360.0, 60.0, 30.0
	end := list[len(list)-1].at.Seconds()
	most, requests := 1.0, 1.0
	for _, r := range list {
		most, requests = max(most, float64(r.replicas)), max(requests, r.answered)
	}
	x := func(r reading) float64 { return left + r.at.Seconds()/end*(w-2*left) }
	y := func(v, of float64) float64 { return top + (1-v/of)*(h-2*top) }
	var line, steps strings.Builder
	for i, r := range list {
		fmt.Fprintf(&line, "%.1f,%.1f ", x(r), y(r.answered, requests))
		if i > 0 {
			fmt.Fprintf(&steps, "%.1f,%.1f ", x(r), y(float64(list[i-1].replicas), most))
		}
		fmt.Fprintf(&steps, "%.1f,%.1f ", x(r), y(float64(r.replicas), most))
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="12">
<!-- Generated by go run ./internal/bench -only scaling. -->
<rect width="100%%" height="100%%" fill="white"/>
`, w, h)
	for i := range int(most) + 1 {
		v := y(float64(i), most)
		fmt.Fprintf(&b, `<path d="M%.0f %.1fH%.0f" stroke="#ddd"/><text x="%.0f" y="%.1f" fill="#b34700">%d</text>`+"\n", left, v, w-left, w-left+8, v+4, i)
	}
	for i := range 5 {
		n := requests * float64(i) / 4
		fmt.Fprintf(&b, `<text x="%.0f" y="%.1f" text-anchor="end" fill="#1f5fa8">%.0f</text>`+"\n", left-8, y(n, requests)+4, n)
	}
	for s := 0.0; s <= end; s += 60 {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.0f" text-anchor="middle" fill="#555">%.0f min</text>`+"\n", left+s/end*(w-2*left), h-top+18, s/60)
	}
	fmt.Fprintf(&b, `<polyline fill="none" stroke="#1f5fa8" stroke-width="1.5" points="%s"/>
<polyline fill="none" stroke="#b34700" stroke-width="2" points="%s"/>
<text x="%.0f" y="18" fill="#1f5fa8">requests per second</text><text x="%.0f" y="18" text-anchor="end" fill="#b34700">replicas</text>
</svg>
`, strings.TrimSpace(line.String()), strings.TrimSpace(steps.String()), left, w-left)
	return b.Bytes()
}
