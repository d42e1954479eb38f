package e2e

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// scaled: more requests make more replicas, on the number of requests. When and how they
// come down again docs/scaling.md shows; it takes longer than a test should.
func scaled(l *local, t *testing.T) {
	const team, workload = "storefront", "storefront"
	c := l.client(t)
	before, err := c.Typed.AppsV1().Deployments(team).Get(t.Context(), workload, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
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
	h, err := c.Typed.AutoscalingV2().HorizontalPodAutoscalers(team).Get(t.Context(), workload, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	external := 0
	for _, m := range h.Status.CurrentMetrics {
		if m.Type == autoscalingv2.ExternalMetricSourceType && m.External.Current.AverageValue != nil {
			external++
		}
	}
	if external == 0 {
		t.Errorf("the autoscaler does not go by the number of requests: %+v", h.Status)
	}
}
