package webca

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/keypair"
	"github.com/stratahq/strata/internal/proxy/config"
)

// labels say whose the objects are.
var labels = map[string]string{"app.kubernetes.io/managed-by": cluster.Manager, "app.kubernetes.io/part-of": config.ControlAccount}

// certificate makes the Secret of a Gateway hold a certificate as it has to be, and says
// how it is then; nil where there is none. A Secret that somebody else made is left alone.
func (a *Authority) certificate(ctx context.Context, s *state, w Want) (*CertificateStatus, error) {
	if err := a.refused(w); err != nil {
		return nil, err
	}
	secrets := a.Client.CoreV1().Secrets(w.Gateway.Namespace)
	have, err := secrets.Get(ctx, w.Secret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		have, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := &CertificateStatus{Gateway: w.Gateway.Name, Secret: w.Secret}
	if have != nil && have.Annotations[config.IssuerAnnotation] != config.IssuerPlatform {
		if a.once("foreign " + w.Gateway.Namespace + "/" + w.Secret) {
			a.Log.Info("a Gateway has a certificate that is not the platform's; it is used as it is", "gateway", w.Gateway.String(), "secret", w.Secret)
		}
		out.Foreign = true
		if c, _ := leaf(have); c != nil {
			out.Names, out.NotAfter = c.DNSNames, c.NotAfter
		}
		return out, nil
	}
	want, left := names(w.Domain, w.Hosts, a.options.Domains)
	for _, r := range left {
		out.LeftOut = append(out.LeftOut, r.host)
		if a.once("left out " + w.Gateway.String() + " " + r.host + " " + r.why) {
			a.Log.Warn("a host of a route is left out of its Gateway's certificate: clients that ask for it refuse what they get", "gateway", w.Gateway.String(), "host", r.host, "reason", r.why)
			a.tell(w, corev1.EventTypeWarning, "HostLeftOut", "the certificate is not for %s: %s", r.host, r.why)
		}
	}
	by := &s.Roots[s.signing(a.now(), a.options.Domains)]
	why, c := a.due(have, by, want)
	if why != "" {
		if c, err = a.issue(ctx, by, w, have, want, why); err != nil {
			return nil, err
		}
	}
	out.Names, out.NotAfter, out.Renewal, out.Authority = c.DNSNames, c.NotAfter, after(c, a.options.RenewShare), by.id()
	return out, nil
}

// refused says why a Gateway gets no certificate at all.
func (a *Authority) refused(w Want) error {
	switch {
	case w.Gateway.Namespace != a.options.Namespace:
		return fmt.Errorf("only Gateways in the namespace %s get certificates", a.options.Namespace)
	case !slices.ContainsFunc(a.options.Domains, func(d string) bool { return inside(w.Domain, d) }):
		return fmt.Errorf("its domain %q (%s) is none of the environment's: %v", w.Domain, config.DomainAnnotation, a.options.Domains)
	}
	return nil
}

// due says why a certificate has to be issued, and returns the one that there is.
func (a *Authority) due(have *corev1.Secret, by *root, want []string) (string, *x509.Certificate) {
	if have == nil {
		return "there is none", nil
	}
	c, err := leaf(have)
	switch {
	case err != nil:
		return "what there is cannot be used", nil
	case c.CheckSignatureFrom(by.pair.Cert) != nil:
		return "another authority signs", nil
	case !slices.Equal(c.DNSNames, want):
		return "there are other names", nil
	case !a.now().Before(after(c, a.options.RenewShare)):
		return "its time has come", nil
	case string(have.Data[config.WebAuthoritiesKey]) != by.Certificate:
		return "its authority is missing", nil
	}
	return "", c
}

// leaf is the certificate of a Secret, whose key has to fit.
func leaf(s *corev1.Secret) (*x509.Certificate, error) {
	c, err := tls.X509KeyPair(s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, err
	}
	return c.Leaf, nil
}

// issue writes a new certificate into a Secret, which have is, or which it makes.
func (a *Authority) issue(ctx context.Context, by *root, w Want, have *corev1.Secret, names []string, why string) (*x509.Certificate, error) {
	made, err := issue(by.pair, names, a.now(), a.options.CertificateLife)
	if err != nil {
		return nil, err
	}
	data, err := secretData(made.Cert, made.Key, by)
	if err != nil {
		return nil, err
	}
	secrets := a.Client.CoreV1().Secrets(w.Gateway.Namespace)
	if have == nil {
		_, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: w.Gateway.Namespace, Name: w.Secret, Labels: labels, Annotations: map[string]string{config.IssuerAnnotation: config.IssuerPlatform},
				// It goes with its Gateway.
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "gateway.networking.k8s.io/v1", Kind: "Gateway", Name: w.Gateway.Name, UID: w.UID}},
			},
			Type: corev1.SecretTypeTLS, Data: data,
		}, metav1.CreateOptions{})
	} else {
		have = have.DeepCopy()
		have.Data = data
		_, err = secrets.Update(ctx, have, metav1.UpdateOptions{})
	}
	if err != nil {
		return nil, fmt.Errorf("write the Secret %s: %w", w.Secret, err)
	}
	a.metrics.issued.Inc()
	serial := made.Cert.SerialNumber.Text(16)
	a.Log.Info("a certificate of a Gateway was issued", "gateway", w.Gateway.String(), "secret", w.Secret, "because", why, "names", names, "serial", serial, "authority", by.id(), "notAfter", made.Cert.NotAfter)
	a.tell(w, corev1.EventTypeNormal, "CertificateIssued", "certificate %s of %d names, until %s: %s", serial, len(names), made.Cert.NotAfter.UTC().Format(time.RFC3339), why)
	return made.Cert, nil
}

func secretData(c *x509.Certificate, key *ecdsa.PrivateKey, by *root) (map[string][]byte, error) {
	k, err := keypair.KeyPEM(key)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{corev1.TLSCertKey: []byte(keypair.CertPEM(c)), corev1.TLSPrivateKeyKey: []byte(k), config.WebAuthoritiesKey: []byte(by.Certificate)}, nil
}
