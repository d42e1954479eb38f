package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
	gwclient "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/cluster/clustertest"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/identity"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/webca"
)

// served is an environment whose gateways have certificates of the platform's authority,
// as the compiler describes it, in a real API server.
type served struct {
	t       *testing.T
	admin   kubernetes.Interface
	routes  gwclient.Interface
	rest    *rest.Config
	cluster *cluster.Client
	args    []string
}

func newServed(t *testing.T) *served {
	t.Helper()
	kubeconfig := clustertest.Start(t)
	s := &served{t: t}
	var err error
	if s.rest, err = clientcmd.BuildConfigFromFlags("", kubeconfig); err != nil {
		t.Fatal(err)
	}
	if s.cluster, err = cluster.Open(kubeconfig); err != nil {
		t.Fatal(err)
	}
	s.admin = s.cluster.Typed
	if s.routes, err = gwclient.NewForConfig(s.rest); err != nil {
		t.Fatal(err)
	}
	env := kube.Env{
		Platform: "acme", PlatformDomain: "acme.example", Name: "local", Cloud: model.CloudLocal, Mesh: model.MeshStrata, GatewayClass: config.GatewayClass,
		IngressDomain: "acme.localhost", InternalDomain: "internal.acme.localhost", TLS: model.TLSPlatformCA, ProxyImage: "proxy:1", ControlImage: controlImage,
		Access: []model.AccessRule{{Groups: []string{"payments-dev"}, Role: "viewer", Teams: []string{"payments"}}},
	}
	definitions, err := kube.RenderDefinitions(env, kube.Platform{Addr: addr.Platform("local", "gateway-api")})
	if err != nil {
		t.Fatal(err)
	}
	for _, ns := range []string{config.ControlNamespace, cluster.SecretsNamespace, kube.DataNamespace, "shop"} {
		labels := map[string]string{kube.LabelTeam: "shop", kube.LabelPlatform: "acme"}
		if _, err := s.admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns, Labels: labels}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s.apply(definitions)
	soon(t, func() error {
		_, err := s.routes.GatewayV1().Gateways("").List(t.Context(), metav1.ListOptions{})
		return err
	})
	control, err := kube.RenderControl(env, kube.Platform{Addr: addr.Platform("local", "mesh")})
	if err != nil {
		t.Fatal(err)
	}
	gateways, err := kube.RenderPlatform(env, kube.Platform{Addr: addr.Platform("local", "gateway")})
	if err != nil {
		t.Fatal(err)
	}
	s.apply(control)
	s.apply(gateways)
	for _, o := range control {
		if d, ok := o.(*appsv1.Deployment); ok {
			s.args = d.Spec.Template.Spec.Containers[0].Args
		}
	}
	return s
}

func (s *served) apply(objs []kube.Object) {
	s.t.Helper()
	for _, o := range objs {
		m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err = s.cluster.Apply(s.t.Context(), &unstructured.Unstructured{Object: m}, cluster.ApplyOptions{}); err != nil {
			s.t.Fatalf("%s %s: %v", o.GetObjectKind().GroupVersionKind().Kind, o.GetName(), err)
		}
	}
}

// run runs what serves gateways with the arguments and the rights that the control plane
// has, until the test ends.
func (s *served) run(log *slog.Logger) kubernetes.Interface {
	s.t.Helper()
	t := s.t
	settings, err := parse(append(slices.Clone(s.args), "--feed-address="+address(t), "--name=one"))
	if err != nil {
		t.Fatal(err)
	}
	as := rest.CopyConfig(s.rest)
	as.QPS = -1
	as.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + config.ControlNamespace + ":" + config.ControlAccount,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + config.ControlNamespace, "system:authenticated"},
	}
	client, err := kubernetes.NewForConfig(as)
	if err != nil {
		t.Fatal(err)
	}
	c := &control{settings: settings, log: log, rest: as, client: client, events: &record.FakeRecorder{}, metrics: prometheus.NewRegistry(), ready: map[string]func() error{}}
	if c.identity, err = identity.New(identity.Deps{Client: client, Log: c.log, Events: c.events, Metrics: c.metrics}, settings.identity); err != nil {
		t.Fatal(err)
	}
	parts, err := c.gateways()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, len(parts))
	for _, p := range parts {
		go func() { ended <- p.start(ctx) }()
	}
	t.Cleanup(func() {
		stop()
		for range parts {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return client
}

// verify is what a client does that trusts what is published.
func (s *served) verify(gateway, host string) error {
	text, _, err := webca.Read(s.t.Context(), s.admin, kube.GatewayNamespace)
	if err != nil {
		return err
	}
	secret, err := s.admin.CoreV1().Secrets(kube.GatewayNamespace).Get(s.t.Context(), kube.CertificateName(gateway), metav1.GetOptions{})
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(text)) {
		return errors.New("nothing is published")
	}
	_, err = pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots})
	return err
}

// resolved reports whether a Gateway's listener for HTTPS has its certificate.
func (s *served) resolved(gateway string) error {
	g, err := s.routes.GatewayV1().Gateways(kube.GatewayNamespace).Get(s.t.Context(), gateway, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, l := range g.Status.Listeners {
		if l.Name == "https" && meta.IsStatusConditionTrue(l.Conditions, string(gwv1.ListenerConditionResolvedRefs)) {
			return nil
		}
	}
	return fmt.Errorf("the listeners of %s are %+v", gateway, g.Status.Listeners)
}

// journal is a log that tests read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// TestCertificates serves what the compiler describes with the rights that it gives.
func TestCertificates(t *testing.T) {
	s := newServed(t)
	// A company's own certificate is there already.
	own, err := s.admin.CoreV1().Secrets(kube.GatewayNamespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: kube.CertificateName(kube.ClassInternal)}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: []byte("theirs"), corev1.TLSPrivateKeyKey: []byte("theirs")},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var log journal
	defer func() {
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	client := s.run(slog.New(slog.NewTextHandler(&log, nil)))
	soon(t, func() error { return s.verify(kube.ClassPublic, "shop.acme.localhost") })
	soon(t, func() error { return s.resolved(kube.ClassPublic) })
	if s.verify(kube.ClassPublic, "shop.bank.localhost") == nil || s.verify(kube.ClassPublic, "a.b.acme.localhost") == nil {
		t.Error("the certificate is for names that it must not be for")
	}

	https := gwv1.SectionName("https")
	namespace := gwv1.Namespace(kube.GatewayNamespace)
	route := &gwv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: "shop"}, Spec: gwv1.HTTPRouteSpec{
		CommonRouteSpec: gwv1.CommonRouteSpec{ParentRefs: []gwv1.ParentReference{{Name: kube.ClassPublic, Namespace: &namespace, SectionName: &https}}},
		Hostnames:       []gwv1.Hostname{"a.b.acme.localhost", "shop.bank.example"},
	}}
	if _, err := s.routes.GatewayV1().HTTPRoutes("shop").Create(t.Context(), route, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	soon(t, func() error { return s.verify(kube.ClassPublic, "a.b.acme.localhost") })
	if err := s.verify(kube.ClassPublic, "shop.acme.localhost"); err != nil {
		t.Errorf("the other names are lost: %v", err)
	}
	soon(t, func() error {
		_, status, err := webca.Read(t.Context(), s.admin, kube.GatewayNamespace)
		if err != nil {
			return err
		}
		for _, c := range status.Certificates {
			if c.Gateway == kube.ClassPublic && slices.Equal(c.LeftOut, []string{"shop.bank.example"}) {
				return nil
			}
		}
		return fmt.Errorf("certificates are %+v", status.Certificates)
	})
	if n := strings.Count(log.String(), "host=shop.bank.example"); n != 1 {
		t.Errorf("a host that is left out is logged %d times", n)
	}

	if now, err := s.admin.CoreV1().Secrets(kube.GatewayNamespace).Get(t.Context(), own.Name, metav1.GetOptions{}); err != nil || now.ResourceVersion != own.ResourceVersion {
		t.Errorf("somebody else's Secret was changed: %+v, %v", now, err)
	}

	// A Secret that is lost is made again.
	if err := s.admin.CoreV1().Secrets(kube.GatewayNamespace).Delete(t.Context(), kube.CertificateName(kube.ClassPublic), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	soon(t, func() error { return s.verify(kube.ClassPublic, "a.b.acme.localhost") })

	// It may do no more than it has to.
	other := own.DeepCopy()
	other.ObjectMeta = metav1.ObjectMeta{Name: "other", Namespace: kube.GatewayNamespace}
	if _, err := s.admin.CoreV1().Secrets(kube.GatewayNamespace).Create(t.Context(), other, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func() error{
		"change another Secret": func() error {
			_, err := client.CoreV1().Secrets(kube.GatewayNamespace).Update(t.Context(), other, metav1.UpdateOptions{})
			return err
		},
		"delete a Secret": func() error {
			return client.CoreV1().Secrets(kube.GatewayNamespace).Delete(t.Context(), kube.CertificateName(kube.ClassPublic), metav1.DeleteOptions{})
		},
		"read Secrets of teams": func() error {
			_, err := client.CoreV1().Secrets("shop").List(t.Context(), metav1.ListOptions{})
			return err
		},
		"list the environment's secrets": func() error {
			_, err := client.CoreV1().Secrets(cluster.SecretsNamespace).List(t.Context(), metav1.ListOptions{})
			return err
		},
		"make Secrets for teams": func() error {
			_, err := client.CoreV1().Secrets("shop").Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})
			return err
		},
	} {
		if err := do(); !apierrors.IsForbidden(err) {
			t.Errorf("it may %s: %v", what, err)
		}
	}
	// Who has a role in the environment may see what to trust, and nothing else there.
	as := rest.CopyConfig(s.rest)
	as.Impersonate = rest.ImpersonationConfig{UserName: "somebody", Groups: []string{"payments-dev", "system:authenticated"}}
	somebody, err := kubernetes.NewForConfig(as)
	if err != nil {
		t.Fatal(err)
	}
	if text, _, err := webca.Read(t.Context(), somebody, kube.GatewayNamespace); err != nil || !strings.HasPrefix(text, "-----BEGIN CERTIFICATE-----") {
		t.Errorf("people read %q, %v", text, err)
	}
	if _, err := somebody.CoreV1().Secrets(kube.GatewayNamespace).Get(t.Context(), kube.CertificateName(kube.ClassPublic), metav1.GetOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("people may read keys: %v", err)
	}
	if d := 30 * 24 * time.Hour; s.life(kube.ClassPublic) > d {
		t.Errorf("the certificate holds longer than %s", d)
	}
}

func (s *served) life(gateway string) time.Duration {
	s.t.Helper()
	secret, err := s.admin.CoreV1().Secrets(kube.GatewayNamespace).Get(s.t.Context(), kube.CertificateName(gateway), metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		s.t.Fatal(err)
	}
	return pair.Leaf.NotAfter.Sub(pair.Leaf.NotBefore)
}
