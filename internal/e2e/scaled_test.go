package e2e

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// scaled: more requests make more replicas, on the number of requests. When and how they
// come down again docs/scaling.md shows; it takes longer than a test should.
func scaled(l *local, t *testing.T) {
	const team, workload = "storefront", "storefront"
	c := l.client(t)
	before := belowLimit(l, t, team, workload)
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	began := time.Now()
	var answered, failed atomic.Int64
	var wg sync.WaitGroup
	page := strings.TrimSuffix(l.routes[workload+".public"], "/") + "/healthz"
	for range 16 {
		wg.Go(func() {
			client := browserLike()
			for ctx.Err() == nil {
				q, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
				if err != nil {
					t.Error(err)
					return
				}
				r, err := client.Do(q)
				if err != nil {
					if ctx.Err() == nil {
						failed.Add(1)
					}
					continue
				}
				r.Body.Close()
				if r.StatusCode != http.StatusOK {
					failed.Add(1)
					continue
				}
				answered.Add(1)
			}
		})
	}
	for {
		d, err := c.Typed.AppsV1().Deployments(team).Get(ctx, workload, metav1.GetOptions{})
		if err != nil {
			t.Fatalf("after %s and %d requests there are no more than %d replicas: %v", time.Since(began).Round(time.Second), answered.Load(), before.Status.ReadyReplicas, err)
		}
		if d.Status.ReadyReplicas > before.Status.ReadyReplicas {
			break
		}
		time.Sleep(time.Second)
	}
	took := time.Since(began)
	stop()
	wg.Wait()
	t.Logf("a further replica is ready after %s, %d requests and %d failures", took.Round(time.Second), answered.Load(), failed.Load())
	if n := failed.Load(); n > 0 {
		t.Errorf("%d of %d requests failed", n, n+answered.Load())
	}
	// Of pods that have just come there is no rate yet, and as long as most have none the
	// autoscaler has no number to show.
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) {
		h, err := c.Typed.AutoscalingV2().HorizontalPodAutoscalers(team).Get(t.Context(), workload, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(h.Status.CurrentMetrics, func(m autoscalingv2.MetricStatus) bool {
			return m.Type == autoscalingv2.ExternalMetricSourceType && m.External.Current.AverageValue != nil
		}) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the autoscaler does not go by the number of requests: %+v", h.Status)
		}
	}
}

// belowLimit returns a Deployment once it has fewer pods than its autoscaler may make: load
// that came before may have made as many, which go again after a while.
func belowLimit(l *local, t *testing.T, team, workload string) *appsv1.Deployment {
	t.Helper()
	c := l.client(t)
	h, err := c.Typed.AutoscalingV2().HorizontalPodAutoscalers(team).Get(t.Context(), workload, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Minute); ; time.Sleep(time.Second) {
		d, err := c.Typed.AppsV1().Deployments(team).Get(t.Context(), workload, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if d.Status.ReadyReplicas > 0 && d.Status.Replicas < h.Spec.MaxReplicas {
			return d
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s/%s has %d of %d replicas, and does not come down", team, workload, d.Status.Replicas, h.Spec.MaxReplicas)
		}
	}
}
