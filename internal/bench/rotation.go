package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/identity"
	"github.com/stratahq/strata/internal/proxy/config"
)

const (
	// visits is how many pages per second people look at, orders how many they place.
	visits, orders = 200, 2
	// Certificates hold as short as Kubernetes lets them: an hour, and kubelets ask for
	// the next one ten minutes after they have got one, and up to six and a half later.
	shortLife, shortRefresh = "1h", "0.17"
	// shortOverlap is how long a new root is published before it signs.
	shortOverlap = "6m"
	// rotationPatience is how long all pods may take to have a certificate of the new root.
	rotationPatience = 40 * time.Minute
)

// rotation replaces the root and every certificate of the example while people use it, and
// prints what they notice.
func rotation(strata, acme string) error {
	if os.Geteuid() != 0 {
		return errors.New("a node needs root")
	}
	return withExample(strata, acme, func(b *localBench, _ string) error {
		shop, err := b.shop()
		if err != nil {
			return err
		}
		c, err := cluster.Open(filepath.Join(b.nodes, "acme-local", "kubeconfig"))
		if err != nil {
			return err
		}
		r := &rotating{b: b, c: c, shop: shop, began: time.Now()}
		if err := r.shorten(); err != nil {
			return err
		}
		return r.measure()
	})
}

// rotating is the example while its root is replaced.
type rotating struct {
	b     *localBench
	c     *cluster.Client
	shop  string
	began time.Time
	notes []string
}

func (r *rotating) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.notes = append(r.notes, fmt.Sprintf("| %.0f s | %s |", time.Since(r.began).Seconds(), text))
	fmt.Fprintf(os.Stderr, "bench: %4.0f s  %s\n", time.Since(r.began).Seconds(), text)
}

// shorten makes certificates that hold for an hour, and gives every pod one.
func (r *rotating) shorten() error {
	ctx := context.Background()
	control := r.c.Typed.AppsV1().Deployments(config.ControlNamespace)
	d, err := control.Get(ctx, config.ControlAccount, metav1.GetOptions{})
	if err != nil {
		return err
	}
	d.Spec.Template.Spec.Containers[0].Args = append(d.Spec.Template.Spec.Containers[0].Args,
		"--certificate-life="+shortLife, "--certificate-refresh="+shortRefresh, "--root-overlap="+shortOverlap)
	if _, err := control.Update(ctx, d, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if err := r.rolledOut(ctx, config.ControlNamespace); err != nil {
		return err
	}
	for _, namespace := range []string{kube.GatewayNamespace, "storefront", "payments", "insights"} {
		list, err := r.c.Typed.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, d := range list.Items {
			patch := fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`, time.Now().Format(time.RFC3339))
			if _, err := r.c.Typed.AppsV1().Deployments(namespace).Patch(ctx, d.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
				return err
			}
		}
		if err := r.rolledOut(ctx, namespace); err != nil {
			return err
		}
	}
	return nil
}

// rolledOut waits until every Deployment of a namespace is what it is to be.
func (r *rotating) rolledOut(ctx context.Context, namespace string) error {
	ctx, stop := context.WithTimeout(ctx, 10*time.Minute)
	defer stop()
	for {
		list, err := r.c.Typed.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("%s is not ready: %w", namespace, err)
		}
		ready := true
		for _, d := range list.Items {
			ready = ready && done(&d)
		}
		if ready {
			return nil
		}
		time.Sleep(time.Second)
	}
}

func done(d *appsv1.Deployment) bool {
	s := d.Status
	return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == *d.Spec.Replicas && s.ReadyReplicas == s.UpdatedReplicas && s.Replicas == s.UpdatedReplicas
}

func (r *rotating) measure() error {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	looked, ordered := newVisitors(), newVisitors()
	r.began = time.Now()
	wg.Add(2)
	go func() {
		defer wg.Done()
		// The page has what the catalog and the recommender say.
		looked.offer(ctx, visits, func(ctx context.Context) error { return looked.page(ctx, r.shop+"/", `class="grid small"`) })
	}()
	go func() {
		defer wg.Done()
		ordered.offer(ctx, orders, func(ctx context.Context) error { return ordered.order(ctx, r.shop) })
	}()
	r.note("%d pages and %d orders a second are asked for", visits, orders)
	first, err := r.certificates(ctx)
	if err != nil {
		return err
	}
	old := ""
	for _, c := range first {
		old = c.issuer
	}
	time.Sleep(time.Minute)
	if err := r.b.run("identity", "rotate"); err != nil {
		return err
	}
	r.note("`strata identity rotate`: pods with certificates: %d", len(first))
	if err := r.renewed(ctx, old); err != nil {
		return err
	}
	s, err := identity.ReadStatus(ctx, r.c.Typed)
	if err != nil {
		return err
	}
	for _, root := range s.Roots {
		if root.Phase == identity.PhaseRetiring {
			if err := r.b.run("identity", "withdraw", "local", root.ID, "--yes"); err != nil {
				return err
			}
		}
	}
	r.note("`strata identity withdraw`: pods are told to trust the new root alone")
	if err := r.withdrawn(ctx); err != nil {
		return err
	}
	time.Sleep(time.Minute)
	stop()
	wg.Wait()
	r.note("the last request is answered")
	fmt.Printf(`# Rotation under load

<!-- Generated by go run ./internal/bench -only rotation. -->

%s, %s, %d cores. People look at the pages of examples/acme on this machine, %d a second, and place %d orders a second, while
the root of the trust domain and with it every certificate is replaced. A page is right if it has what the catalog and the
recommender say. Certificates hold for an hour here (%s of which is over when the kubelet may ask for the next), the overlap
is %s; the defaults are 24 hours, a half, and 30 minutes. Command: `+"`go run ./internal/bench -only rotation > docs/rotation.md`"+`.

| what | asked for | not answered, or wrong |
| --- | ---: | ---: |
| pages | %d | %d |
| orders | %d | %d |

| after | what |
| ---: | --- |
%s
`, time.Now().Format(time.DateOnly), cpuModel(), runtime.NumCPU(), visits, orders, shortRefresh, shortOverlap,
		looked.answered.Load()+looked.failed.Load(), looked.failed.Load(), ordered.answered.Load()+ordered.failed.Load(), ordered.failed.Load(), strings.Join(r.notes, "\n"))
	for _, v := range []*visitors{looked, ordered} {
		if text := v.first.Load(); text != nil {
			fmt.Printf("\nThe first failure: %s\n", *text)
		}
	}
	return nil
}

// shown is the certificate that a pod has.
type shown struct{ serial, issuer string }

// renewed waits until no pod has a certificate of the old root.
func (r *rotating) renewed(ctx context.Context, old string) error {
	ctx, stop := context.WithTimeout(ctx, rotationPatience)
	defer stop()
	last, signs := -1, false
	for {
		if s, err := identity.ReadStatus(ctx, r.c.Typed); err == nil && !signs {
			for _, root := range s.Roots {
				if root.Phase == identity.PhaseRetiring {
					signs = true
					r.note("the new root signs")
				}
			}
		}
		now, err := r.certificates(ctx)
		if err != nil {
			return err
		}
		n := 0
		for _, c := range now {
			if c.issuer != old {
				n++
			}
		}
		if n != last {
			r.note("%d of %d pods have a certificate of the new root", n, len(now))
			last = n
		}
		if signs && n == len(now) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s only %d of %d pods have a certificate of the new root", rotationPatience, n, len(now))
		case <-time.After(5 * time.Second):
		}
	}
}

// withdrawn waits until no pod trusts more than one root.
func (r *rotating) withdrawn(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, 10*time.Minute)
	defer stop()
	for {
		most := 0
		err := r.proxies(ctx, func(root string) error {
			b, err := os.ReadFile(filepath.Join(root, config.TrustFile))
			most = max(most, strings.Count(string(b), "BEGIN CERTIFICATE"))
			return err
		})
		if err != nil {
			return err
		}
		if most == 1 {
			r.note("no pod trusts the old root")
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("pods still trust the old root")
		case <-time.After(time.Second):
		}
	}
}

// certificates returns the certificates of all pods that have one.
func (r *rotating) certificates(ctx context.Context) (map[string]shown, error) {
	out := map[string]shown{}
	err := r.proxies(ctx, func(root string) error {
		b, err := os.ReadFile(filepath.Join(root, config.CredentialsFile))
		if err != nil {
			return err
		}
		for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
			if block.Type != "CERTIFICATE" {
				continue
			}
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return err
			}
			out[root] = shown{c.SerialNumber.String(), string(c.AuthorityKeyId)}
			return nil
		}
		return errors.New("a pod's credentials have no certificate")
	})
	return out, err
}

// proxies calls f with the root of each proxy's file system. One that ends meanwhile is
// left out.
func (r *rotating) proxies(ctx context.Context, f func(root string) error) error {
	pods, err := r.c.Typed.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	for _, e := range entries {
		dir := filepath.Join("/proc", e.Name())
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || !strings.Contains(string(line), config.SidecarName) {
			continue
		}
		groups, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil {
			continue
		}
		for _, p := range pods.Items {
			uid := string(p.UID)
			if !strings.Contains(string(groups), uid) && !strings.Contains(string(groups), strings.ReplaceAll(uid, "-", "_")) {
				continue
			}
			if err := f(filepath.Join(dir, "root")); err != nil {
				if _, gone := os.Stat(dir); gone == nil {
					return fmt.Errorf("%s/%s: %w", p.Namespace, p.Name, err)
				}
			}
		}
	}
	return nil
}
