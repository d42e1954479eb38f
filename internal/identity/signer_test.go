package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	certsv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"github.com/stratahq/strata/internal/keypair"
	"github.com/stratahq/strata/internal/proxy/config"
)

// stub returns a request for a certificate of a key, as a kubelet makes it.
func stub(t *testing.T, k crypto.Signer, template x509.CertificateRequest) []byte {
	t.Helper()
	b, err := x509.CreateCertificateRequest(rand.Reader, &template, k)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ecKey(t *testing.T, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// scene is a pod of the service account cart that asks for a certificate.
type scene struct {
	pod     *corev1.Pod
	account *corev1.ServiceAccount
	request *certsv1.PodCertificateRequest
}

func newScene(t *testing.T) *scene {
	t.Helper()
	return &scene{
		pod: &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart-1", UID: "pod-uid"},
			Spec: corev1.PodSpec{NodeName: "node", ServiceAccountName: "cart", Volumes: []corev1.Volume{{Name: "identity", VolumeSource: corev1.VolumeSource{
				Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{PodCertificate: &corev1.PodCertificateProjection{SignerName: config.Signer, KeyType: "ECDSAP256", CredentialBundlePath: "credentials.pem"}}}},
			}}}},
			Status: corev1.PodStatus{Phase: corev1.PodPending},
		},
		account: &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", UID: "account-uid"}},
		request: &certsv1.PodCertificateRequest{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "req-1"},
			Spec: certsv1.PodCertificateRequestSpec{
				SignerName: config.Signer, PodName: "cart-1", PodUID: "pod-uid", ServiceAccountName: "cart", ServiceAccountUID: "account-uid",
				NodeName: "node", NodeUID: "node-uid", MaxExpirationSeconds: new(int32(86400)), StubPKCS10Request: stub(t, ecKey(t, elliptic.P256()), x509.CertificateRequest{}),
			},
		},
	}
}

// play answers the scene's request with an authority that has roots.
func (s *scene) play(t *testing.T, o Options) (*Authority, *clock, *certsv1.PodCertificateRequest, error) {
	t.Helper()
	objects := []runtime.Object{s.request}
	if s.pod != nil {
		objects = append(objects, s.pod)
	}
	if s.account != nil {
		objects = append(objects, s.account)
	}
	client, c := fake.NewClientset(objects...), newClock()
	a := authority(t, client, c, o)
	if err := a.tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	answered := a.answer(t.Context(), s.request.DeepCopy())
	r, err := client.CertificatesV1().PodCertificateRequests("shop").Get(t.Context(), "req-1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return a, c, r, answered
}

func TestIssue(t *testing.T) {
	for name, k := range map[string]struct {
		options Options
		max     int32
		life    time.Duration
		refresh time.Duration
	}{
		"by default":          {max: 86400, life: 24 * time.Hour, refresh: 12 * time.Hour},
		"the pod wants less":  {max: 7200, life: 2 * time.Hour, refresh: time.Hour},
		"the pod allows more": {max: 7862400, life: 24 * time.Hour, refresh: 12 * time.Hour},
		"the least":           {max: 3600, life: time.Hour, refresh: 30 * time.Minute},
		"refresh at once":     {options: Options{CertificateLife: time.Hour, RefreshShare: 0.01}, max: 86400, life: time.Hour, refresh: 10 * time.Minute},
		"refresh at the end":  {options: Options{CertificateLife: time.Hour, RefreshShare: 0.99}, max: 86400, life: time.Hour, refresh: 50 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.request.Spec.MaxExpirationSeconds = &k.max
			a, c, r, err := s.play(t, k.options)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Status.Conditions) != 1 || r.Status.Conditions[0].Type != certsv1.PodCertificateRequestConditionTypeIssued {
				t.Fatalf("conditions %+v", r.Status.Conditions)
			}
			leaf, err := keypair.ParseCert(r.Status.CertificateChain)
			if err != nil {
				t.Fatal(err)
			}
			id, _, err := x509svid.Verify([]*x509.Certificate{leaf}, a, x509svid.WithTime(c.at))
			if want := "spiffe://local.acme.example/ns/shop/sa/cart"; err != nil || id.String() != want {
				t.Errorf("ID %s, want %s: %v", id, want, err)
			}
			// The API server compares these with the certificate.
			if !r.Status.NotBefore.Time.Equal(leaf.NotBefore) || !r.Status.NotAfter.Time.Equal(leaf.NotAfter) {
				t.Errorf("status says %s to %s, the certificate %s to %s", r.Status.NotBefore, r.Status.NotAfter, leaf.NotBefore, leaf.NotAfter)
			}
			if life := leaf.NotAfter.Sub(leaf.NotBefore); life != k.life {
				t.Errorf("it holds %s, want %s", life, k.life)
			}
			if refresh := r.Status.BeginRefreshAt.Sub(leaf.NotBefore); refresh != k.refresh {
				t.Errorf("it is renewed after %s, want %s", refresh, k.refresh)
			}
			if behind := c.at.Sub(leaf.NotBefore); behind < 0 || behind >= 5*time.Minute {
				t.Errorf("it begins %s ago, which the API server refuses", behind)
			}
			if n, last := a.issued.of(a.known.Load().state.Roots[0].id()); n != 1 || !last.Equal(leaf.NotAfter) {
				t.Errorf("counted %d until %s", n, last)
			}
		})
	}
}

func TestDeny(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	other := &url.URL{Scheme: "spiffe", Host: "local.acme.example", Path: "/ns/shop/sa/admin"}
	for name, k := range map[string]struct {
		change func(*scene)
		reason string // empty: it is issued
	}{
		"P-256": {func(*scene) {}, ""},
		"P-384": {func(s *scene) {
			s.request.Spec.StubPKCS10Request = stub(t, ecKey(t, elliptic.P384()), x509.CertificateRequest{})
		}, ""},
		"Ed25519":         {func(s *scene) { s.request.Spec.StubPKCS10Request = stub(t, ed, x509.CertificateRequest{}) }, ""},
		"a pod that ends": {func(s *scene) { now := metav1.Now(); s.pod.DeletionTimestamp, s.pod.Finalizers = &now, []string{"x/y"} }, ""},
		"P-521": {func(s *scene) {
			s.request.Spec.StubPKCS10Request = stub(t, ecKey(t, elliptic.P521()), x509.CertificateRequest{})
		}, "UnsupportedKeyType"},
		"RSA": {func(s *scene) { s.request.Spec.StubPKCS10Request = stub(t, rsaKey, x509.CertificateRequest{}) }, "UnsupportedKeyType"},
		"user annotations": {func(s *scene) {
			s.request.Spec.UnverifiedUserAnnotations = map[string]string{"strata.dev/name": "admin"}
		}, "InvalidUnverifiedUserAnnotations"},
		"another name by request": {func(s *scene) {
			s.request.Spec.StubPKCS10Request = stub(t, ed, x509.CertificateRequest{URIs: []*url.URL{other}})
		}, "UnsupportedRequest"},
		"a subject by request": {func(s *scene) {
			s.request.Spec.StubPKCS10Request = stub(t, ed, x509.CertificateRequest{Subject: pkix.Name{CommonName: "admin"}})
		}, "UnsupportedRequest"},
		"no request":                {func(s *scene) { s.request.Spec.StubPKCS10Request = nil }, "UnsupportedRequest"},
		"no pod":                    {func(s *scene) { s.pod = nil }, "PodMismatch"},
		"a pod with another UID":    {func(s *scene) { s.pod.UID = "new" }, "PodMismatch"},
		"a pod of another node":     {func(s *scene) { s.pod.Spec.NodeName = "other" }, "PodMismatch"},
		"a pod without a node":      {func(s *scene) { s.pod.Spec.NodeName = "" }, "PodMismatch"},
		"a pod that succeeded":      {func(s *scene) { s.pod.Status.Phase = corev1.PodSucceeded }, "PodFinished"},
		"a pod that failed":         {func(s *scene) { s.pod.Status.Phase = corev1.PodFailed }, "PodFinished"},
		"a pod without the volume":  {func(s *scene) { s.pod.Spec.Volumes = nil }, "NotInPod"},
		"a pod of another signer":   {func(s *scene) { s.pod.Spec.Volumes[0].Projected.Sources[0].PodCertificate.SignerName = "x/y" }, "NotInPod"},
		"another account":           {func(s *scene) { s.request.Spec.ServiceAccountName = "admin" }, "ServiceAccountMismatch"},
		"an account that is gone":   {func(s *scene) { s.account = nil }, "ServiceAccountMismatch"},
		"an account with a new UID": {func(s *scene) { s.account.UID = "new" }, "ServiceAccountMismatch"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			k.change(s)
			_, _, r, err := s.play(t, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Status.Conditions) != 1 {
				t.Fatalf("conditions %+v", r.Status.Conditions)
			}
			c := r.Status.Conditions[0]
			if k.reason == "" {
				if c.Type != certsv1.PodCertificateRequestConditionTypeIssued {
					t.Errorf("%s: %s", c.Reason, c.Message)
				}
				return
			}
			if c.Type != certsv1.PodCertificateRequestConditionTypeDenied || c.Reason != k.reason || c.Message == "" {
				t.Errorf("%s %s (%s), want a denial for %s", c.Type, c.Reason, c.Message, k.reason)
			}
			if r.Status.CertificateChain != "" || r.Status.NotAfter != nil {
				t.Error("it was denied and has a certificate")
			}
		})
	}
}

// TestTroubleIsNoDenial makes the API server fail: a denial is for ever, so there must be
// none.
func TestTroubleIsNoDenial(t *testing.T) {
	for _, resource := range []string{"pods", "serviceaccounts"} {
		s := newScene(t)
		client := fake.NewClientset(s.pod, s.account, s.request)
		a := authority(t, client, newClock(), Options{})
		if err := a.tend(t.Context()); err != nil {
			t.Fatal(err)
		}
		client.PrependReactor("get", resource, func(k8stesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewInternalError(errors.New("etcd is slow"))
		})
		if err := a.answer(t.Context(), s.request.DeepCopy()); err == nil || !strings.Contains(err.Error(), "etcd is slow") {
			t.Errorf("%s: %v", resource, err)
		}
		r, err := client.CertificatesV1().PodCertificateRequests("shop").Get(t.Context(), "req-1", metav1.GetOptions{})
		if err != nil || len(r.Status.Conditions) != 0 {
			t.Errorf("%s: answered with %+v, %v", resource, r.Status.Conditions, err)
		}
	}
	// Nor before there are roots.
	s := newScene(t)
	client := fake.NewClientset(s.pod, s.account, s.request)
	if err := authority(t, client, newClock(), Options{}).answer(t.Context(), s.request.DeepCopy()); !errors.Is(err, ErrNoRoots) {
		t.Errorf("without roots: %v", err)
	}
}

func TestOpen(t *testing.T) {
	s := newScene(t)
	if !open(s.request) {
		t.Error("a new request is not open")
	}
	foreign := s.request.DeepCopy()
	foreign.Spec.SignerName = "example.com/other"
	if open(foreign) {
		t.Error("a request for another signer is answered")
	}
	for _, kind := range []string{"Issued", "Denied", "Failed"} {
		r := s.request.DeepCopy()
		conclude(r, kind, "Reason", "", time.Now())
		if open(r) {
			t.Errorf("a request that is %s is open", kind)
		}
	}
}
