package translate

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/proxy/config"
)

// caKey is the key of a ConfigMap with certificates of authorities.
const caKey = "ca.crt"

// reasons are how the same problems with references to certificates are called in
// different conditions.
type reasons struct{ invalid, kind, permitted string }

// certificates finds the certificates of a listener.
func (x *index) certificates(g *gwv1.Gateway, l *listener) {
	var refs []gwv1.SecretObjectReference
	if l.spec.TLS != nil {
		refs = l.spec.TLS.CertificateRefs
	}
	why := reasons{string(gwv1.ListenerReasonInvalidCertificateRef), string(gwv1.ListenerReasonInvalidCertificateRef), string(gwv1.ListenerReasonRefNotPermitted)}
	for _, ref := range refs {
		c, v := x.keyPair(g.Namespace, ref, why)
		if v.bad {
			l.refs = l.refs.and(v)
			continue
		}
		l.certificates = append(l.certificates, c)
	}
	if len(refs) == 0 {
		l.refs = l.refs.and(problem(gwv1.ListenerReasonInvalidCertificateRef, "a listener for HTTPS needs tls.certificateRefs"))
	}
	l.unusable = len(l.certificates) == 0
}

// keyPair returns the certificate and key that a Gateway refers to.
func (x *index) keyPair(namespace string, ref gwv1.SecretObjectReference, why reasons) (config.Certificate, verdict) {
	var none config.Certificate
	if group, kind := or(ref.Group, ""), or(ref.Kind, "Secret"); group != "" || kind != "Secret" {
		return none, verdict{true, why.kind, fmt.Sprintf("certificates are in Secrets, not in %s", kindName(string(group), string(kind)))}
	}
	to := Key{Namespace: string(or(ref.Namespace, gwv1.Namespace(namespace))), Name: string(ref.Name)}
	if !x.permitted(reference{gwv1.GroupName, kindGateway, namespace, "", "Secret", to}) {
		return none, verdict{true, why.permitted, fmt.Sprintf("no ReferenceGrant in namespace %s lets Gateways of namespace %s refer to Secret %s", to.Namespace, namespace, to.Name)}
	}
	s, ok := x.secrets[to]
	if !ok {
		return none, verdict{true, why.invalid, fmt.Sprintf("there is no Secret %s of type %s", to, corev1.SecretTypeTLS)}
	}
	chain, key := s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey]
	if _, err := tls.X509KeyPair(chain, key); err != nil {
		// The error tells nothing of the key itself.
		return none, verdict{true, why.invalid, fmt.Sprintf("Secret %s has no valid certificate with its key: %v", to, err)}
	}
	return config.Certificate{Chain: string(chain), Key: string(key)}, verdict{}
}

// clients finds out whether clients of a listener have to show certificates.
func (x *index) clients(g *gwv1.Gateway, l *listener) {
	v := validation(g, l.spec.Port)
	if v == nil {
		return
	}
	why := reasons{string(gwv1.ListenerReasonInvalidCACertificateRef), string(gwv1.ListenerReasonInvalidCACertificateKind), string(gwv1.ListenerReasonRefNotPermitted)}
	var pems []string
	var refs verdict
	for _, ref := range v.CACertificateRefs {
		to := Key{Namespace: string(or(ref.Namespace, gwv1.Namespace(g.Namespace))), Name: string(ref.Name)}
		cas, bad := x.authorities(string(ref.Group), string(ref.Kind), to, kindGateway, g.Namespace, why)
		if bad.bad {
			refs = refs.and(bad)
			continue
		}
		pems = append(pems, cas)
	}
	l.refs = l.refs.and(refs)
	if len(pems) == 0 {
		l.accepted = l.accepted.and(problem(gwv1.ListenerReasonNoValidCACertificate, "none of the certificate authorities for clients is valid: "+refs.message))
		return
	}
	l.clients = &config.ClientTLS{CAs: strings.Join(pems, "\n"), Optional: v.Mode == gwv1.AllowInsecureFallback}
}

// validation returns what a gateway says of clients' certificates on a port.
func validation(g *gwv1.Gateway, port int32) *gwv1.FrontendTLSValidation {
	if g.Spec.TLS == nil || g.Spec.TLS.Frontend == nil {
		return nil
	}
	f := g.Spec.TLS.Frontend
	for _, p := range f.PerPort {
		if p.Port == port {
			return p.TLS.Validation
		}
	}
	return f.Default.Validation
}

// authorities returns the certificates in a ConfigMap.
func (x *index) authorities(group, kind string, to Key, fromKind, fromNamespace string, why reasons) (string, verdict) {
	if group != "" || kind != "ConfigMap" {
		return "", verdict{true, why.kind, fmt.Sprintf("certificate authorities are in ConfigMaps, not in %s", kindName(group, kind))}
	}
	if !x.permitted(reference{gwv1.GroupName, fromKind, fromNamespace, "", "ConfigMap", to}) {
		return "", verdict{true, why.permitted, fmt.Sprintf("no ReferenceGrant in namespace %s lets objects of kind %s of namespace %s refer to ConfigMap %s", to.Namespace, fromKind, fromNamespace, to.Name)}
	}
	m, ok := x.configMaps[to]
	if !ok {
		return "", verdict{true, why.invalid, fmt.Sprintf("there is no ConfigMap %s", to)}
	}
	if err := validAuthorities(m.Data[caKey]); err != nil {
		return "", verdict{true, why.invalid, fmt.Sprintf("ConfigMap %s has no certificates in PEM under %s: %v", to, caKey, err)}
	}
	return m.Data[caKey], verdict{}
}

func validAuthorities(text string) error {
	n := 0
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("there is a block of type %s", block.Type)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return err
		}
		n++
	}
	if n == 0 {
		return fmt.Errorf("there is none")
	}
	return nil
}

// kindName is how messages call a kind.
func kindName(group, kind string) string {
	if group == "" {
		return kind
	}
	return kind + "." + group
}
