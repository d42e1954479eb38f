package scaling

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"pgregory.net/rapid"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/stratahq/strata/internal/proxy/config"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func TestRate(t *testing.T) {
	type reading struct {
		second int
		value  float64
	}
	for name, c := range map[string]struct {
		readings []reading
		now      int
		want     float64
		known    bool
	}{
		"nothing":                 {nil, 0, 0, false},
		"one sample":              {[]reading{{0, 5}}, 1, 0, false},
		"two samples":             {[]reading{{0, 5}, {5, 15}}, 5, 2, true},
		"idle":                    {[]reading{{0, 5}, {5, 5}, {10, 5}}, 12, 0, true},
		"what is old is left out": {[]reading{{0, 0}, {5, 1000}, {40, 1000}, {45, 1010}, {50, 1020}}, 50, 20.0 / 45, true},
		"the program started anew": {
			[]reading{{0, 1000}, {5, 1100}, {10, 3}, {15, 23}}, 15, 4, true,
		},
		"anew, and one sample since": {[]reading{{0, 1000}, {5, 1100}, {10, 3}}, 10, 0, false},
		"no sample for long":         {[]reading{{0, 5}, {5, 15}}, 60, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			var k counter
			for _, r := range c.readings {
				k.add(at(r.second), r.value)
			}
			got, known := k.rate(at(c.now))
			if known != c.known || got != c.want {
				t.Errorf("%v, %v; want %v, %v", got, known, c.want, c.known)
			}
		})
	}
}

// TestRateProperties: whatever the counter does, a rate is never negative, never more than
// the steepest of its steps, and the past that is kept is bounded.
func TestRateProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c counter
		second, value, steepest := 0, 0.0, 0.0
		for range rapid.IntRange(2, 200).Draw(t, "samples") {
			step := rapid.IntRange(1, 20).Draw(t, "seconds")
			second += step
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				value = 0
			}
			more := rapid.Float64Range(0, 1000).Draw(t, "more")
			value += more
			steepest = max(steepest, more/float64(step))
			c.add(at(second), value)
			if r, ok := c.rate(at(second)); ok && (r < 0 || r > steepest*(1+1e-9)+1e-9) {
				t.Fatalf("rate %v; the steepest step is %v", r, steepest)
			}
		}
		if n := len(c.samples); n > int(window/time.Second)+1 {
			t.Fatalf("%d samples are kept", n)
		}
	})
}

func pod(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: name, UID: types.UID(name)}, Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1"}}
}

func TestFigures(t *testing.T) {
	shop := workload{"web", "shop"}
	var f figures
	pods := []*corev1.Pod{pod("a"), pod("b")}
	f.keep(asked{workloads: map[workload]bool{shop: true}})
	f.alive(shop, pods)
	if _, err := f.rate(shop, at(0)); err == nil {
		t.Error("a rate is known before anything was read")
	}
	for s := 0; s <= 10; s += 5 {
		f.request(shop, pods[0], at(s), float64(10*s))
	}
	// One of two has answered: the other counts as much.
	if n, err := f.rate(shop, at(10)); err != nil || n != 20 {
		t.Errorf("%v, %v; want 20", n, err)
	}
	pods = append(pods, pod("c"))
	f.alive(shop, pods)
	if n, err := f.rate(shop, at(10)); err == nil {
		t.Errorf("%v, with one pod of three that answers", n)
	}
	f.alive(shop, pods[:1])
	if n, err := f.rate(shop, at(10)); err != nil || n != 10 {
		t.Errorf("%v, %v; want 10 when the others are gone", n, err)
	}
	leaving := pod("a")
	leaving.DeletionTimestamp = &metav1.Time{Time: at(10)}
	f.alive(shop, []*corev1.Pod{leaving})
	if n, err := f.rate(shop, at(10)); err == nil {
		t.Errorf("%v, without a pod that runs", n)
	}
	f.keep(asked{})
	if len(f.counters) != 0 {
		t.Error("what nobody asks for is kept")
	}

	orders := queue{"shared.amqp.default.orders", "orders"}
	if _, err := f.depth(orders, at(0)); err == nil {
		t.Error("a depth is known before anything was read")
	}
	f.depths(orders.broker, at(0), map[string]float64{"orders": 7})
	if n, err := f.depth(orders, at(10)); err != nil || n != 7 {
		t.Errorf("%v, %v; want 7", n, err)
	}
	if n, err := f.depth(queue{orders.broker, "not declared"}, at(10)); err != nil || n != 0 {
		t.Errorf("%v, %v; want 0", n, err)
	}
	if _, err := f.depth(orders, at(60)); err == nil {
		t.Error("what is a minute old is believed")
	}
	f.keep(asked{queues: map[queue]bool{orders: true}})
	if len(f.queues) != 1 {
		t.Error("what is asked for is forgotten")
	}
	f.keep(asked{})
	if len(f.queues) != 0 {
		t.Error("what nobody asks for is kept")
	}
}

func TestAskedBy(t *testing.T) {
	metric := func(name string, labels map[string]string) autoscalingv2.MetricSpec {
		return autoscalingv2.MetricSpec{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{
			Metric: autoscalingv2.MetricIdentifier{Name: name, Selector: &metav1.LabelSelector{MatchLabels: labels}},
		}}
	}
	bare := metric(config.RequestsMetric, nil)
	bare.External.Metric.Selector = nil
	got := askedBy([]*autoscalingv2.HorizontalPodAutoscaler{
		{ObjectMeta: metav1.ObjectMeta{Namespace: "web"}, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{Metrics: []autoscalingv2.MetricSpec{
			{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{Name: "cpu"}},
			metric(config.RequestsMetric, map[string]string{"workload": "shop"}),
			bare,
		}}},
		{ObjectMeta: metav1.ObjectMeta{Namespace: "pay"}, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{Metrics: []autoscalingv2.MetricSpec{
			metric(config.QueueMetric, map[string]string{"queue": "orders", "broker": "b"}),
			metric(config.QueueMetric, map[string]string{"broker": "b"}),
			metric("somebody_elses", map[string]string{"workload": "x"}),
		}}},
	})
	if !maps.Equal(got.workloads, map[workload]bool{{"web", "shop"}: true}) || !maps.Equal(got.queues, map[queue]bool{{"b", "orders"}: true}) {
		t.Errorf("%+v", got)
	}
}

func TestText(t *testing.T) {
	const sidecar = `# TYPE strata_requests_total counter
strata_requests_total{direction="inbound",port="http",peer="a",code="2xx"} 40
strata_requests_total{direction="inbound",port="http",peer="b",code="5xx"} 2
strata_requests_total{direction="outbound",port="db",peer="c",code="2xx"} 100
`
	if n, err := requests(strings.NewReader(sidecar)); err != nil || n != 42 {
		t.Errorf("%v, %v; want 42", n, err)
	}
	if n, err := requests(strings.NewReader("# TYPE go_goroutines gauge\ngo_goroutines 9\n")); err != nil || n != 0 {
		t.Errorf("a sidecar without a request: %v, %v", n, err)
	}
	const broker = `# TYPE rabbitmq_detailed_queue_messages gauge
rabbitmq_detailed_queue_messages{vhost="v",queue="orders"} 12
rabbitmq_detailed_queue_messages{vhost="v",queue="mail"} 0
# TYPE rabbitmq_detailed_queue_messages_ready gauge
rabbitmq_detailed_queue_messages_ready{vhost="v",queue="orders"} 2
`
	if got, err := messages(strings.NewReader(broker)); err != nil || !maps.Equal(got, map[string]float64{"orders": 12, "mail": 0}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"strata_requests_total{direction=\"inbound\"} NaN\n", "strata_requests_total{", "<html>", strings.Repeat("# x\n", maxText/4+1)} {
		if _, err := requests(strings.NewReader(bad)); err == nil {
			t.Errorf("%.20q is read", bad)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("# TYPE strata_requests_total counter\nstrata_requests_total{direction=\"inbound\"} 1\n")
	f.Add("rabbitmq_detailed_queue_messages{queue=\"a\"} 5\n")
	f.Add("strata_requests_total NaN\n")
	f.Add("# TYPE strata_requests_total histogram\nstrata_requests_total_bucket{le=\"1\",direction=\"inbound\"} 1\n")
	f.Fuzz(func(_ *testing.T, text string) {
		_, _ = requests(strings.NewReader(text))
		_, _ = messages(strings.NewReader(text))
	})
}

func TestAnswer(t *testing.T) {
	a := &API{}
	shop := workload{"web", "shop"}
	p := pod("a")
	now := time.Now()
	a.figures.alive(shop, []*corev1.Pod{p})
	a.figures.request(shop, p, now.Add(-10*time.Second), 0)
	a.figures.request(shop, p, now.Add(-5*time.Second), 12.5)
	a.figures.depths("b", now, map[string]float64{"orders": 3})
	for name, c := range map[string]struct {
		metric   string
		selector map[string]string
		want     string
		failure  func(error) bool
	}{
		"requests":             {config.RequestsMetric, map[string]string{"workload": "shop"}, "2500m", nil},
		"requests of whom":     {config.RequestsMetric, nil, "", apierrors.IsBadRequest},
		"requests of nobody":   {config.RequestsMetric, map[string]string{"workload": "none"}, "", apierrors.IsServiceUnavailable},
		"depth":                {config.QueueMetric, map[string]string{"queue": "orders", "broker": "b"}, "3", nil},
		"depth at which":       {config.QueueMetric, map[string]string{"queue": "orders"}, "", apierrors.IsBadRequest},
		"depth at none":        {config.QueueMetric, map[string]string{"queue": "orders", "broker": "c"}, "", apierrors.IsServiceUnavailable},
		"a metric of somebody": {"disk_queue", map[string]string{}, "", apierrors.IsNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := a.GetExternalMetric(t.Context(), "web", labels.SelectorFromSet(c.selector), provider.ExternalMetricInfo{Metric: c.metric})
			if c.failure != nil {
				if !c.failure(err) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if n := got.Items[0].Value; len(got.Items) != 1 || n.String() != c.want || !maps.Equal(got.Items[0].MetricLabels, c.selector) {
				t.Errorf("%+v; want %s", got.Items, c.want)
			}
		})
	}
}

// TestCertificate: replicas share one certificate, which the API server can verify, and
// renew it when a third of its life is left.
func TestCertificate(t *testing.T) {
	client := fake.NewClientset()
	a, b := &API{client: client, log: slog.New(slog.DiscardHandler)}, &API{client: client, log: slog.New(slog.DiscardHandler)}
	first, err := a.certificate(t.Context())
	second, err2 := b.certificate(t.Context())
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	cert, key := first.CurrentCertKeyContent()
	if other, _ := second.CurrentCertKeyContent(); !bytes.Equal(cert, other) {
		t.Error("the replicas have certificates of their own")
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: serverName}); err != nil {
		t.Error(err)
	}

	old, oldKey, err := selfSigned(time.Now().Add(-life + left/2))
	if err != nil {
		t.Fatal(err)
	}
	s, err := client.CoreV1().Secrets(config.ControlNamespace).Get(t.Context(), config.ScalingSecret, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.Data = map[string][]byte{corev1.TLSCertKey: old, corev1.TLSPrivateKeyKey: oldKey}
	if _, err := client.CoreV1().Secrets(config.ControlNamespace).Update(t.Context(), s, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	told := make(told, 10)
	first.AddListener(told)
	if changed, err := a.load(t.Context(), first); err != nil || !changed {
		t.Errorf("%v, %v", changed, err)
	}
	if len(told) == 0 {
		t.Error("the server is not told")
	}
	fresh, _ := first.CurrentCertKeyContent()
	block, _ := pem.Decode(fresh)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil || time.Until(leaf.NotAfter) < left || bytes.Equal(fresh, cert) {
		t.Errorf("it was not renewed: until %v, %v", leaf.NotAfter, err)
	}

	s.Data = map[string][]byte{corev1.TLSCertKey: []byte("x"), corev1.TLSPrivateKeyKey: oldKey}
	if _, err := client.CoreV1().Secrets(config.ControlNamespace).Update(t.Context(), s, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.load(t.Context(), second); err != nil {
		t.Errorf("what is no certificate is not replaced: %v", err)
	}
}

// told counts what a listener is told.
type told chan struct{}

func (c told) Enqueue() { c <- struct{}{} }
