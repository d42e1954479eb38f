package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/compile/kube"
)

// rolled: every pod between a customer and an order is replaced, while customers look and
// order, and nobody notices.
func rolled(l *local, t *testing.T) {
	c := l.client(t)
	product := firstProduct(t, l.get(t, "/"))
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait() // whoever still looks must not say so of a test that is over
	defer stop()
	var looked, ordered, failed atomic.Int64
	visit := func(every time.Duration, count *atomic.Int64, f func(*http.Client) error) {
		wg.Go(func() {
			client := browserLike()
			for ctx.Err() == nil {
				if err := f(client); err != nil {
					t.Errorf("%s: %v", time.Now().Format(time.TimeOnly), err)
					if failed.Add(1) == 1 {
						// The pods that know why may be gone when all is over.
						for _, w := range []string{"storefront", "checkout"} {
							_, out := l.run("logs", w, "--since", "5s")
							t.Log(out)
						}
					}
				}
				count.Add(1)
				time.Sleep(every)
			}
		})
	}
	page := strings.TrimSuffix(l.routes["storefront.public"], "/") + "/"
	for range 4 {
		visit(50*time.Millisecond, &looked, func(client *http.Client) error {
			r, err := client.Get(page)
			if err != nil {
				return err
			}
			defer r.Body.Close()
			var b strings.Builder
			if _, err := copyTo(&b, r.Body); err != nil {
				return err
			}
			if r.StatusCode != http.StatusOK || !strings.Contains(b.String(), `name="product"`) {
				return fmt.Errorf("the page: %s\n%.300s", r.Status, b.String())
			}
			return nil
		})
	}
	visit(500*time.Millisecond, &ordered, func(client *http.Client) error {
		once := *client
		once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		r, err := once.PostForm(page+"orders", url.Values{"product": {product}, "quantity": {"1"}, "key": {rand.Text()}})
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusSeeOther {
			return fmt.Errorf("an order: %s", r.Status)
		}
		return nil
	})
	for _, d := range [][2]string{{"payments", "checkout"}, {"storefront", "catalog"}, {"storefront", "storefront"}, {kube.GatewayNamespace, ""}} {
		rollOut(ctx, t, c, d[0], d[1])
		time.Sleep(3 * time.Second) // with those that are new
	}
	stop()
	wg.Wait()
	t.Logf("%d pages and %d orders, %d of them failed", looked.Load(), ordered.Load(), failed.Load())
	if looked.Load() < 100 || ordered.Load() < 10 {
		t.Error("that is too little to say anything")
	}
}

// rollOut starts the pods of a Deployment anew, or of all in a namespace, and waits until
// none of the old ones is left.
func rollOut(ctx context.Context, t *testing.T, c *cluster.Client, namespace, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	deployments := c.Typed.AppsV1().Deployments(namespace)
	list, err := deployments.List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	began := metav1.Now()
	for _, d := range list.Items {
		if name != "" && d.Name != name {
			continue
		}
		patch := fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`, began.Format(time.RFC3339))
		if _, err := deployments.Patch(ctx, d.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		for {
			pods, err := c.Typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(d.Spec.Selector)})
			if err != nil {
				t.Fatalf("%s/%s is not replaced: %v", namespace, d.Name, err)
			}
			old, ready := 0, 0
			for _, p := range pods.Items {
				if p.CreationTimestamp.Time.Before(began.Truncate(time.Second)) {
					old++
				} else if cluster.PodReady(&p) {
					ready++
				}
			}
			if old == 0 && ready > 0 {
				break
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
}
