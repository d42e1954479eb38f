package identity_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	certsv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/cluster/clustertest"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/identity"
	"github.com/stratahq/strata/internal/proxy/config"
)

// buffer is a log that tests read.
type buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// eventually waits until there is no error.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within three minutes: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// grant makes the namespaces, the service account and the roles of the control plane, as
// the description of an environment does.
func grant(t *testing.T, admin kubernetes.Interface) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, ns := range []string{config.ControlNamespace, cluster.SecretsNamespace, "shop"} {
		_, err := admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{})
		must(err)
	}
	_, err := admin.CoreV1().ServiceAccounts(config.ControlNamespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: config.ControlAccount}}, metav1.CreateOptions{})
	must(err)
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: config.ControlNamespace, Name: config.ControlAccount}}
	name := metav1.ObjectMeta{Name: config.ControlAccount}
	_, err = admin.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: name, Rules: kube.IdentityClusterRules()}, metav1.CreateOptions{})
	must(err)
	_, err = admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: name, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name.Name}}, metav1.CreateOptions{})
	must(err)
	for ns, rules := range map[string][]rbacv1.PolicyRule{config.ControlNamespace: kube.IdentityControlRules(), cluster.SecretsNamespace: kube.IdentitySecretRules("acme", "local")} {
		_, err = admin.RbacV1().Roles(ns).Create(ctx, &rbacv1.Role{ObjectMeta: name, Rules: rules}, metav1.CreateOptions{})
		must(err)
		_, err = admin.RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: name, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name.Name}}, metav1.CreateOptions{})
		must(err)
	}
}

// TestRights runs the signer against a real API server as the service account that it
// has, with the roles of compile/kube and no more.
func TestRights(t *testing.T) {
	rc, err := clientcmd.BuildConfigFromFlags("", clustertest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	admin, err := kubernetes.NewForConfig(rc)
	if err != nil {
		t.Fatal(err)
	}
	grant(t, admin)
	as := rest.CopyConfig(rc)
	as.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + config.ControlNamespace + ":" + config.ControlAccount,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + config.ControlNamespace, "system:authenticated"},
	}
	client, err := kubernetes.NewForConfig(as)
	if err != nil {
		t.Fatal(err)
	}
	var log buffer
	events := record.NewBroadcaster()
	defer events.Shutdown()
	events.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	metrics := prometheus.NewRegistry()
	a, err := identity.New(identity.Deps{
		Client: client, Log: slog.New(slog.NewTextHandler(&log, nil)), Metrics: metrics,
		Events: events.NewRecorder(scheme.Scheme, corev1.EventSource{Component: config.ControlAccount}),
	}, identity.Options{Platform: "acme", Environment: "local", Domain: "acme.example", Interval: 200 * time.Millisecond, Overlap: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	led := make(chan error, 1)
	go func() { led <- a.Lead(ctx) }()
	defer func() {
		stop()
		if err := <-led; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	eventually(t, a.Ready)

	s := &server{t: t, admin: admin}
	pod := s.pod("cart-1", "cart")
	issued := s.ask(pod, nil)
	s.concluded(issued, "Issued", "Entitled")
	s.concluded(s.ask(pod, func(r *certsv1.PodCertificateRequest) { r.Spec.PodUID = "another" }), "Denied", "PodMismatch")
	s.concluded(s.ask(pod, func(r *certsv1.PodCertificateRequest) {
		r.Spec.UnverifiedUserAnnotations = map[string]string{"strata.dev/name": "admin"}
	}), "Denied", "InvalidUnverifiedUserAnnotations")
	s.concluded(s.ask(pod, func(r *certsv1.PodCertificateRequest) { r.Spec.MaxExpirationSeconds = new(int32(3600)) }), "Issued", "Entitled")

	// Another signer's requests stay as they are: what was asked for later has been answered.
	foreign := s.ask(pod, func(r *certsv1.PodCertificateRequest) { r.Spec.SignerName = "example.com/other" })
	s.concluded(s.ask(pod, nil), "Issued", "Entitled")
	if r := s.get(foreign); len(r.Status.Conditions) != 0 {
		t.Errorf("a request for another signer has %+v", r.Status.Conditions)
	}

	// Who asks has to have the key: the API server sees to it.
	if _, err := s.send(pod, func(r *certsv1.PodCertificateRequest) {
		n := len(r.Spec.StubPKCS10Request)
		r.Spec.StubPKCS10Request[n-1] ^= 1
	}); err == nil {
		t.Error("the API server keeps a request that is not signed with its key")
	}

	if err := identity.RequestRotation(t.Context(), admin, "now"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		st, err := identity.ReadStatus(t.Context(), admin)
		if err != nil {
			return err
		}
		if n := len(st.Roots); n != 2 || st.Roots[0].Phase != identity.PhaseRetiring || st.Roots[1].Phase != identity.PhaseSigning {
			return fmt.Errorf("roots %+v", st.Roots)
		}
		if st.Roots[0].Issued != 3 {
			return fmt.Errorf("the first root has issued %d certificates, not 3", st.Roots[0].Issued)
		}
		return nil
	})
	s.concluded(s.ask(pod, nil), "Issued", "Entitled")
	eventually(t, func() error {
		for _, x := range []struct{ ns, reason string }{{"shop", "CertificateIssued"}, {"default", "RootMade"}, {"default", "RootSigns"}} {
			list, err := admin.CoreV1().Events(x.ns).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=" + x.reason})
			if err != nil {
				return err
			}
			if len(list.Items) == 0 {
				return fmt.Errorf("no event %s in %s", x.reason, x.ns)
			}
		}
		return nil
	})
	// A request has its answer before it is counted, and one that failed was tried again.
	eventually(t, func() error {
		got, err := answered(metrics)
		want := map[string]float64{"issued ": 4, "denied InvalidUnverifiedUserAnnotations": 1, "denied PodMismatch": 1}
		if err == nil && !maps.Equal(got, want) {
			err = fmt.Errorf("counted are %v", got)
		}
		return err
	})
	if text := log.String(); strings.Contains(text, "PRIVATE KEY") || !strings.Contains(text, "spiffe://local.acme.example/ns/shop/sa/cart") {
		t.Errorf("the log has keys, or does not say what was issued:\n%s", text)
	}
}

// answered returns how many requests are counted as issued or denied, by result and reason.
func answered(metrics prometheus.Gatherer) (map[string]float64, error) {
	families, err := metrics.Gather()
	out := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "strata_identity_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["result"] != "failed" {
				out[labels["result"]+" "+labels["reason"]] = m.GetCounter().GetValue()
			}
		}
	}
	return out, err
}

// server is a real API server without kubelets.
type server struct {
	t     *testing.T
	admin kubernetes.Interface
}

// pod makes a pod that nothing runs, with its service account.
func (s *server) pod(name, account string) *corev1.Pod {
	s.t.Helper()
	if _, err := s.admin.CoreV1().ServiceAccounts("shop").Create(s.t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
	p, err := s.admin.CoreV1().Pods("shop").Create(s.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			NodeName: "node", ServiceAccountName: account,
			Containers: []corev1.Container{{Name: "main", Image: "none", VolumeMounts: []corev1.VolumeMount{{Name: "identity", MountPath: "/run/strata/identity"}}}},
			Volumes:    []corev1.Volume{identityVolume()},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// identityVolume is what a pod has of its identity.
func identityVolume() corev1.Volume {
	return corev1.Volume{Name: "identity", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{PodCertificate: &corev1.PodCertificateProjection{SignerName: config.Signer, KeyType: "ECDSAP256", CredentialBundlePath: "credentials.pem"}},
		{ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{SignerName: new(config.Signer), LabelSelector: &metav1.LabelSelector{}, Path: "trust.pem"}},
	}}}}
}

// send makes a request for a pod, changed.
func (s *server) send(p *corev1.Pod, change func(*certsv1.PodCertificateRequest)) (*certsv1.PodCertificateRequest, error) {
	s.t.Helper()
	account, err := s.admin.CoreV1().ServiceAccounts(p.Namespace).Get(s.t.Context(), p.Spec.ServiceAccountName, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, k)
	if err != nil {
		s.t.Fatal(err)
	}
	r := &certsv1.PodCertificateRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "req-", Namespace: p.Namespace},
		Spec: certsv1.PodCertificateRequestSpec{
			SignerName: config.Signer, PodName: p.Name, PodUID: p.UID, ServiceAccountName: account.Name, ServiceAccountUID: account.UID,
			NodeName: "node", NodeUID: "node-uid", StubPKCS10Request: csr,
		},
	}
	if change != nil {
		change(r)
	}
	return s.admin.CertificatesV1().PodCertificateRequests(p.Namespace).Create(s.t.Context(), r, metav1.CreateOptions{})
}

// ask makes a request and returns its name.
func (s *server) ask(p *corev1.Pod, change func(*certsv1.PodCertificateRequest)) string {
	s.t.Helper()
	r, err := s.send(p, change)
	if err != nil {
		s.t.Fatal(err)
	}
	return r.Name
}

func (s *server) get(name string) *certsv1.PodCertificateRequest {
	s.t.Helper()
	r, err := s.admin.CertificatesV1().PodCertificateRequests("shop").Get(s.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// concluded waits until a request has been answered so.
func (s *server) concluded(name, kind, reason string) {
	s.t.Helper()
	eventually(s.t, func() error {
		r := s.get(name)
		if len(r.Status.Conditions) != 1 {
			return fmt.Errorf("%s has the conditions %+v", name, r.Status.Conditions)
		}
		if c := r.Status.Conditions[0]; c.Type != kind || c.Reason != reason {
			s.t.Fatalf("%s is %s for %s (%s), want %s for %s", name, c.Type, c.Reason, c.Message, kind, reason)
		}
		return nil
	})
}
