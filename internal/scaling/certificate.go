package scaling

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"

	"github.com/stratahq/strata/internal/keypair"
	"github.com/stratahq/strata/internal/proxy/config"
)

const (
	life = 365 * 24 * time.Hour
	left = life / 3
)

// certificate is what the API shows: it lies in the Secret config.ScalingSecret of
// config.ControlNamespace, shared by the replicas, of which the API server may ask any.
// The API server is told of it, and nobody else trusts it. It implements dynamiccertificates.CertKeyContentProvider,
// and changes when it is renewed.
type certificate struct {
	mu        sync.Mutex
	cert, key []byte
	notAfter  time.Time
	listeners []dynamiccertificates.Listener
}

var _ dynamiccertificates.CertKeyContentProvider = (*certificate)(nil)

// Name implements dynamiccertificates.CertKeyContentProvider.
func (*certificate) Name() string { return config.ScalingSecret }

// AddListener implements dynamiccertificates.CertKeyContentProvider.
func (c *certificate) AddListener(l dynamiccertificates.Listener) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = append(c.listeners, l)
}

// CurrentCertKeyContent implements dynamiccertificates.CertKeyContentProvider.
func (c *certificate) CurrentCertKeyContent() (cert, key []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cert, c.key
}

// set takes another pair and tells who listens. It reports whether it is another.
func (c *certificate) set(cert, key []byte) (bool, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, fmt.Errorf("Secret %s/%s: %w", config.ControlNamespace, config.ScalingSecret, err)
	}
	c.mu.Lock()
	changed := !bytes.Equal(c.cert, cert)
	c.cert, c.key, c.notAfter = cert, key, pair.Leaf.NotAfter
	listeners := c.listeners
	c.mu.Unlock()
	if changed {
		for _, l := range listeners {
			l.Enqueue()
		}
	}
	return changed, nil
}

// certificate returns what the replicas share, and makes it if it is not there or about to
// expire.
func (a *API) certificate(ctx context.Context) (*certificate, error) {
	c := &certificate{}
	_, err := a.load(ctx, c)
	return c, err
}

// load reads the shared Secret, and reports whether it is another than before.
func (a *API) load(ctx context.Context, c *certificate) (bool, error) {
	secrets := a.client.CoreV1().Secrets(config.ControlNamespace)
	for {
		s, err := secrets.Get(ctx, config.ScalingSecret, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return false, err
		}
		absent := err != nil
		if !absent {
			changed, err := c.set(s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey])
			if err == nil && time.Until(c.notAfter) > left {
				return changed, nil
			}
			if err != nil {
				a.log.Warn("the metrics API's certificate is made anew", "error", err)
			}
		}
		cert, key, err := selfSigned(time.Now())
		if err != nil {
			return false, err
		}
		fresh := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: config.ControlNamespace, Name: config.ScalingSecret, Labels: map[string]string{"app.kubernetes.io/managed-by": config.ControlAccount}},
			Type:       corev1.SecretTypeTLS, Data: map[string][]byte{corev1.TLSCertKey: cert, corev1.TLSPrivateKeyKey: key},
		}
		if absent {
			_, err = secrets.Create(ctx, fresh, metav1.CreateOptions{})
		} else {
			// Only over what was read: another replica may have been faster.
			fresh.ResourceVersion = s.ResourceVersion
			_, err = secrets.Update(ctx, fresh, metav1.UpdateOptions{})
		}
		if err != nil && !apierrors.IsAlreadyExists(err) && !apierrors.IsConflict(err) {
			return false, fmt.Errorf("keep the metrics API's certificate: %w", err)
		}
	}
}

// renew follows the Secret and renews it in time.
func (a *API) renew(ctx context.Context, c *certificate) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		changed, err := a.load(ctx, c)
		if err == nil && changed {
			_, err = a.register(ctx, c)
		}
		if err != nil && ctx.Err() == nil {
			a.log.Warn("the metrics API's certificate cannot be followed", "error", err)
		}
	}
}

// serverName is what the API server calls the API.
const serverName = config.ControlAccount + "." + config.ControlNamespace + ".svc"

// selfSigned makes a certificate that is its own authority.
func selfSigned(now time.Time) (cert, key []byte, err error) {
	k, err := keypair.NewKey()
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{
		Subject: pkix.Name{CommonName: serverName}, DNSNames: []string{serverName},
		NotBefore: now.Add(-5 * time.Minute), NotAfter: now.Add(life), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true, IsCA: true,
	}
	c, err := keypair.Sign(t, t, &k.PublicKey, k)
	if err != nil {
		return nil, nil, err
	}
	text, err := keypair.KeyPEM(k)
	if err != nil {
		return nil, nil, err
	}
	return []byte(keypair.CertPEM(c)), []byte(text), nil
}
