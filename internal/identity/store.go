package identity

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	certsv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/keypair"
	"github.com/stratahq/strata/internal/proxy/config"
)

// labels say whose the objects are.
var labels = map[string]string{"app.kubernetes.io/managed-by": cluster.Manager, "app.kubernetes.io/part-of": config.ControlAccount}

// read returns the state and the Secret that it lies in; nil where there is none yet.
func (a *Authority) read(ctx context.Context) (*state, *corev1.Secret, error) {
	secret, err := a.client.CoreV1().Secrets(cluster.SecretsNamespace).Get(ctx, cluster.SecretName(a.path), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the roots: %w", err)
	}
	if got := secret.Annotations[cluster.SecretPath]; got != a.path {
		return nil, nil, fmt.Errorf("the Secret %s/%s is not that of %s: its annotation %s is %q", secret.Namespace, secret.Name, a.path, cluster.SecretPath, got)
	}
	s, err := decodeState(string(secret.Data[cluster.SecretKey]))
	if err != nil {
		return nil, nil, fmt.Errorf("the Secret %s/%s does not hold the roots of workloads: %w", secret.Namespace, secret.Name, err)
	}
	if s.TrustDomain != a.td.Name() {
		return nil, nil, fmt.Errorf("the Secret %s/%s holds the roots of the trust domain %s, and this is %s", secret.Namespace, secret.Name, s.TrustDomain, a.td.Name())
	}
	return s, secret, nil
}

// write writes the state into the Secret that it was read from; nil makes one. Somebody
// else's write in between is a conflict, and nothing is written.
func (a *Authority) write(ctx context.Context, s *state, into *corev1.Secret) (*corev1.Secret, error) {
	text, err := s.encode()
	if err != nil {
		return nil, err
	}
	secrets := a.client.CoreV1().Secrets(cluster.SecretsNamespace)
	if into == nil {
		into, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: cluster.SecretName(a.path), Namespace: cluster.SecretsNamespace, Labels: labels, Annotations: map[string]string{cluster.SecretPath: a.path}},
			Data:       map[string][]byte{cluster.SecretKey: []byte(text)},
		}, metav1.CreateOptions{})
	} else {
		into = into.DeepCopy()
		into.Data = map[string][]byte{cluster.SecretKey: []byte(text)}
		into, err = secrets.Update(ctx, into, metav1.UpdateOptions{})
	}
	if err != nil {
		return nil, fmt.Errorf("write the roots: %w", err)
	}
	return into, nil
}

// readBundle returns what pods are told to trust now; nil where there is no bundle.
func readBundle(ctx context.Context, c kubernetes.Interface) (*certsv1.ClusterTrustBundle, []*x509.Certificate, error) {
	b, err := c.CertificatesV1().ClusterTrustBundles().Get(ctx, config.TrustBundle, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the ClusterTrustBundle: %w", err)
	}
	var out []*x509.Certificate
	for rest := []byte(b.Spec.TrustBundle); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return b, out, nil
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("the ClusterTrustBundle %s: %w", config.TrustBundle, err)
		}
		out = append(out, c)
	}
}

// publish makes the bundle hold what the state says, and nothing else.
func (a *Authority) publish(ctx context.Context, s *state, have *certsv1.ClusterTrustBundle) error {
	var text strings.Builder
	for _, c := range s.certificates() {
		text.WriteString(keypair.CertPEM(c))
	}
	bundles := a.client.CertificatesV1().ClusterTrustBundles()
	var err error
	switch {
	case have == nil:
		_, err = bundles.Create(ctx, &certsv1.ClusterTrustBundle{
			ObjectMeta: metav1.ObjectMeta{Name: config.TrustBundle, Labels: labels},
			Spec:       certsv1.ClusterTrustBundleSpec{SignerName: config.Signer, TrustBundle: text.String()},
		}, metav1.CreateOptions{})
	case have.Spec.TrustBundle != text.String():
		have = have.DeepCopy()
		have.Spec.TrustBundle = text.String()
		_, err = bundles.Update(ctx, have, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("publish the roots: %w", err)
	}
	return nil
}
