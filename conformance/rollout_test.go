package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/proxy/config"
)

// TestRollout replaces the gateway's pod, the backend's and the control plane's, and adds
// a listener, while clients ask. No request may fail.
func TestRollout(t *testing.T) {
	client, _, base := fixture(t)
	listeners(t, client, 80)
	eventually(t, func() error { return ask(t, base+"/plain", "", "", http.StatusOK) })
	stop, failed, asked := ask8(t, base+"/plain")

	restart(t, client, "policies", config.GatewayAccount("policies", config.GatewayClass))
	restart(t, client, "policies", "echo")
	if err := client.Typed.CoreV1().Pods(config.ControlNamespace).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + config.ControlAccount}); err != nil {
		t.Fatal(err)
	}
	// Whoever comes next has to tell the gateway of this one.
	listeners(t, client, 80, 8080)
	eventually(t, func() error { return ask(t, base+":8080/plain", "", "", http.StatusOK) })
	stop()
	if err := failed(); err != nil {
		t.Fatalf("of %d requests some fail: %v", asked(), err)
	}
	t.Logf("%d requests, each answered", asked())
}

// listeners makes the ports of the gateway those.
func listeners(t *testing.T, client *cluster.Client, ports ...int32) {
	t.Helper()
	var list []gwv1.Listener
	for _, p := range ports {
		list = append(list, gwv1.Listener{Name: gwv1.SectionName(fmt.Sprintf("port-%d", p)), Port: p, Protocol: gwv1.HTTPProtocolType})
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"listeners": list}})
	if err != nil {
		t.Fatal(err)
	}
	g, err := client.Resource(object("Gateway", "policies"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Patch(t.Context(), "policies", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// ask8 asks by eight clients, half of which make a connection for each request, until stop
// is called.
func ask8(t *testing.T, at string) (stop func(), failed func() error, asked func() int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	var n atomic.Int64
	for i := range 8 {
		wg.Go(func() {
			c := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: i%2 == 0}}
			defer c.CloseIdleConnections()
			for ctx.Err() == nil {
				// A request that is under way is not cut off.
				err := askBy(context.WithoutCancel(ctx), c, at, "", "", http.StatusOK)
				n.Add(1)
				if err != nil {
					mu.Lock()
					errs = append(errs, fmt.Errorf("%s: %w", time.Now().Format(time.StampMilli), err))
					mu.Unlock()
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop, func() error { return errors.Join(errs...) }, n.Load
}

// restart replaces the pods of a Deployment, and returns when the old ones are gone.
func restart(t *testing.T, client *cluster.Client, namespace, name string) {
	t.Helper()
	deployments := client.Typed.AppsV1().Deployments(namespace)
	patch := fmt.Appendf(nil, `{"spec": {"template": {"metadata": {"annotations": {"restarted": %q}}}}}`, time.Now().Format(time.RFC3339Nano))
	d, err := deployments.Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		d, err := deployments.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas != *d.Spec.Replicas || d.Status.AvailableReplicas != *d.Spec.Replicas {
			return fmt.Errorf("%s is not rolled out", name)
		}
		pods, err := client.Typed.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector.String()})
		if err == nil && len(pods.Items) != int(*d.Spec.Replicas) {
			err = fmt.Errorf("%s has %d pods", name, len(pods.Items))
		}
		return err
	})
}
