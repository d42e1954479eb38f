package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"fmt"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	certsv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/proxy/config"
)

// Reasons for a denial, besides those that Kubernetes names.
const (
	reasonRequest   = "UnsupportedRequest"
	reasonPod       = "PodMismatch"
	reasonFinished  = "PodFinished"
	reasonAccount   = "ServiceAccountMismatch"
	reasonNotWanted = "NotInPod"
)

// denial says why somebody gets no certificate. It is for ever: a kubelet does not ask
// again for the same pod, so only what cannot change is denied.
type denial struct{ reason, message string }

// Error implements error.
func (d *denial) Error() string { return d.message }

func deny(reason, format string, args ...any) error {
	return &denial{reason, fmt.Sprintf(format, args...)}
}

// key returns the public key that a request is for. That whoever asks has the private
// key was checked by the API server, which keeps no request whose signature is wrong.
func key(r *certsv1.PodCertificateRequest) (crypto.PublicKey, error) {
	if len(r.Spec.UnverifiedUserAnnotations) > 0 {
		return nil, deny(certsv1.PodCertificateRequestConditionInvalidUserConfig, "userAnnotations are not supported: the identity follows from the pod's namespace and service account alone")
	}
	if len(r.Spec.StubPKCS10Request) == 0 {
		return nil, deny(reasonRequest, "the request has no stubPKCS10Request")
	}
	csr, err := x509.ParseCertificateRequest(r.Spec.StubPKCS10Request)
	if err != nil {
		return nil, deny(reasonRequest, "the stubPKCS10Request cannot be read")
	}
	if len(csr.Subject.Names) > 0 || len(csr.Extensions) > 0 || len(csr.DNSNames)+len(csr.URIs)+len(csr.IPAddresses)+len(csr.EmailAddresses) > 0 {
		return nil, deny(reasonRequest, "the stubPKCS10Request asks for names or extensions: the identity follows from the pod's namespace and service account alone")
	}
	switch k := csr.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() {
			return k, nil
		}
	case ed25519.PublicKey:
		return k, nil
	}
	return nil, deny(certsv1.PodCertificateRequestConditionUnsupportedKeyType, "keys of this type are not supported: use ECDSAP256 (or ECDSAP384, ED25519)")
}

// entitled returns the identity that a request is entitled to. Its names come from the
// request, where the API server's admission (NodeRestriction) has compared what a kubelet
// says with the cluster; they are compared once more here, since others than kubelets may
// have been given the right to make requests. The error is a denial, or passes.
func (a *Authority) entitled(ctx context.Context, r *certsv1.PodCertificateRequest) (spiffeid.ID, error) {
	none := spiffeid.ID{}
	pod, err := a.client.CoreV1().Pods(r.Namespace).Get(ctx, r.Spec.PodName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return none, deny(reasonPod, "there is no pod %s/%s", r.Namespace, r.Spec.PodName)
	}
	if err != nil {
		return none, fmt.Errorf("read the pod: %w", err)
	}
	switch {
	case pod.UID != r.Spec.PodUID:
		return none, deny(reasonPod, "the pod %s/%s is another one, with the UID %s", r.Namespace, r.Spec.PodName, pod.UID)
	case pod.Spec.NodeName != string(r.Spec.NodeName):
		return none, deny(reasonPod, "the pod %s/%s runs on the node %q", r.Namespace, r.Spec.PodName, pod.Spec.NodeName)
	case pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed:
		return none, deny(reasonFinished, "the pod %s/%s has finished", r.Namespace, r.Spec.PodName)
	case pod.Spec.ServiceAccountName != r.Spec.ServiceAccountName:
		return none, deny(reasonAccount, "the pod %s/%s uses the service account %q", r.Namespace, r.Spec.PodName, pod.Spec.ServiceAccountName)
	case !wants(pod):
		return none, deny(reasonNotWanted, "the pod %s/%s has no volume with a certificate of %s", r.Namespace, r.Spec.PodName, config.Signer)
	}
	account, err := a.client.CoreV1().ServiceAccounts(r.Namespace).Get(ctx, r.Spec.ServiceAccountName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return none, deny(reasonAccount, "there is no service account %s/%s", r.Namespace, r.Spec.ServiceAccountName)
	}
	if err != nil {
		return none, fmt.Errorf("read the service account: %w", err)
	}
	if account.UID != r.Spec.ServiceAccountUID {
		return none, deny(reasonAccount, "the service account %s/%s is another one, with the UID %s", r.Namespace, r.Spec.ServiceAccountName, account.UID)
	}
	id, err := spiffeid.FromString(config.ID(a.td.Name(), r.Namespace, r.Spec.ServiceAccountName))
	if err != nil {
		return none, deny(reasonRequest, "namespace and service account make no SPIFFE ID: %v", err)
	}
	return id, nil
}

// wants reports whether a pod has a volume with a certificate of this signer.
func wants(p *corev1.Pod) bool {
	for _, v := range p.Spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if s.PodCertificate != nil && s.PodCertificate.SignerName == config.Signer {
				return true
			}
		}
	}
	return false
}

// held reports whether any pod may have a certificate already: one that asks for one, and
// of which a container has started.
func (a *Authority) held(ctx context.Context) (bool, error) {
	o := metav1.ListOptions{Limit: 200}
	for {
		list, err := a.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, o)
		if err != nil {
			return false, fmt.Errorf("look for pods with certificates: %w", err)
		}
		for i := range list.Items {
			if p := &list.Items[i]; wants(p) && started(p) {
				return true, nil
			}
		}
		if o.Continue = list.Continue; o.Continue == "" {
			return false, nil
		}
	}
}

// started reports whether a container of a pod runs or ran. Volumes are mounted before.
func started(p *corev1.Pod) bool {
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for _, c := range list {
			if c.State.Running != nil || c.State.Terminated != nil || c.LastTerminationState.Terminated != nil {
				return true
			}
		}
	}
	return false
}
