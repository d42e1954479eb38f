package scaling

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stratahq/strata/internal/proxy/config"
)

const (
	// period is how often everything that is asked for is read.
	period = 5 * time.Second
	// patience is how long one reading may take.
	patience = 3 * time.Second
	// atOnce is how many are read at a time.
	atOnce = 16

	// dataNamespace holds the brokers of local environments; brokerLabel tells them from
	// databases. modules/local/amqp makes them so.
	dataNamespace  = "strata-data"
	componentLabel = "app.kubernetes.io/component"
	brokerKind     = "amqp"
	nameLabel      = "app.kubernetes.io/name"
	unitAnnotation = "strata.dev/unit"
	// platformCA is the ClusterTrustBundle with the authority of brokers' certificates.
	platformCA = "strata-platform-ca"
)

// scrape reads all that autoscalers ask for, once.
func (a *API) scrape(ctx context.Context) error {
	list, err := a.autoscalers.List(labels.Everything())
	if err != nil {
		return err
	}
	want := askedBy(list)
	a.figures.keep(want)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for w := range want.workloads {
		pods, err := a.pods.Pods(w.namespace).List(labels.SelectorFromSet(labels.Set{nameLabel: w.name}))
		if err != nil {
			return err
		}
		a.figures.alive(w, pods)
		for _, p := range pods {
			if !running(p) {
				continue
			}
			g.Go(func() error {
				n, err := a.sidecar(ctx, p)
				if err != nil {
					a.log.Debug("a sidecar's metrics cannot be read", "namespace", p.Namespace, "pod", p.Name, "error", err)
					return nil // it is told from what is missing
				}
				a.figures.request(w, p, time.Now(), n)
				return nil
			})
		}
	}
	if len(want.queues) > 0 {
		g.Go(func() error { return a.brokers(ctx) })
	}
	return g.Wait()
}

// running reports whether a pod has a sidecar that answers, or will soon.
func running(p *corev1.Pod) bool {
	return p.Status.PodIP != "" && p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil
}

// sidecar reads how many requests a pod has got.
func (a *API) sidecar(ctx context.Context, p *corev1.Pod) (float64, error) {
	id, err := spiffeid.FromString(config.ID(a.td, p.Namespace, p.Spec.ServiceAccountName))
	if err != nil {
		return 0, err
	}
	conf := tlsconfig.MTLSClientConfig(a.svids, a.bundles, tlsconfig.AuthorizeID(id))
	var n float64
	err = get(ctx, conf, "https://"+net.JoinHostPort(p.Status.PodIP, strconv.Itoa(config.MetricsPort))+"/metrics", func(r io.Reader) error {
		n, err = requests(r)
		return err
	})
	return n, err
}

// brokers reads how many messages are in the queues of all brokers.
func (a *API) brokers(ctx context.Context) error {
	services, err := a.client.CoreV1().Services(dataNamespace).List(ctx, metav1.ListOptions{LabelSelector: componentLabel + "=" + brokerKind, ResourceVersion: "0"})
	if err != nil {
		return fmt.Errorf("list the brokers: %w", err)
	}
	pool, err := a.platformRoots(ctx)
	if err != nil {
		return err
	}
	for _, s := range services.Items {
		port := 0
		for _, p := range s.Spec.Ports {
			if p.Name == config.BrokerPortName {
				port = int(p.Port)
			}
		}
		_, unit, _ := strings.Cut(s.Annotations[unitAnnotation], "/") // what is before it is the environment
		if port == 0 || unit == "" {
			continue
		}
		host := s.Name + "." + s.Namespace + ".svc"
		url := "https://" + net.JoinHostPort(s.Spec.ClusterIP, strconv.Itoa(port)) + "/metrics/detailed?family=queue_coarse_metrics"
		err := get(ctx, &tls.Config{RootCAs: pool, ServerName: host, MinVersion: tls.VersionTLS12}, url, func(r io.Reader) error {
			depths, err := messages(r)
			if err == nil {
				a.figures.depths(config.BrokerLabel(unit), time.Now(), depths)
			}
			return err
		})
		if err != nil {
			a.log.Warn("a broker's metrics cannot be read", "service", s.Name, "error", err)
		}
	}
	return nil
}

// platformRoots are the authorities of the environment's brokers and databases.
func (a *API) platformRoots(ctx context.Context) (*x509.CertPool, error) {
	b, err := a.client.CertificatesV1().ClusterTrustBundles().Get(ctx, platformCA, metav1.GetOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, fmt.Errorf("authority of the brokers: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(b.Spec.TrustBundle)) {
		return nil, fmt.Errorf("the ClusterTrustBundle %s holds no certificate", platformCA)
	}
	return pool, nil
}

// get reads a page. There is a connection for each: pods come and go, and a handshake in
// five seconds costs nothing.
func get(ctx context.Context, conf *tls.Config, url string, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	t := &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true, Proxy: nil}
	defer t.CloseIdleConnections()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := t.RoundTrip(q)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	} else {
		err = read(resp.Body)
	}
	return cmp.Or(err, resp.Body.Close())
}
