package kube

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stratahq/strata/internal/model"
)

const (
	certificateGroup  = "cert-manager.io"
	certificateAPI    = certificateGroup + "/v1"
	kindClusterIssuer = "ClusterIssuer"
	// certificateNamespace is where cert-manager is, and where it looks for the keys of
	// ClusterIssuers.
	certificateNamespace = "cert-manager"
	// certificateIssuer issues the certificates of gateways.
	certificateIssuer = "strata"
	// certificateRoot is the issuer of the platform's own CA, and the Secret and
	// Certificate of that.
	certificateRoot, certificateCA = "strata-root", "strata-ca"
	// acmeServer is Let's Encrypt's.
	acmeServer = "https://acme-v02.api.letsencrypt.org/directory"
	// caDuration is ten years: whoever trusts the CA has it by hand.
	caDuration = "87600h"
)

// ClusterIssuer says where cert-manager gets certificates: from an ACME service, of a CA
// whose key is in a Secret, or signed by themselves. It is the part of cert-manager.io/v1
// that Strata writes.
type ClusterIssuer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              IssuerSpec `json:"spec"`
}

// IssuerSpec has one of its fields.
type IssuerSpec struct {
	ACME       *ACMEIssuer       `json:"acme,omitempty"`
	CA         *CAIssuer         `json:"ca,omitempty"`
	SelfSigned *SelfSignedIssuer `json:"selfSigned,omitempty"`
}

// ACMEIssuer is an account of an ACME service, and how its challenges are answered.
type ACMEIssuer struct {
	Server              string       `json:"server"`
	PrivateKeySecretRef NamedSecret  `json:"privateKeySecretRef"`
	Solvers             []ACMESolver `json:"solvers"`
}

// NamedSecret names a Secret.
type NamedSecret struct {
	Name string `json:"name"`
}

// ACMESolver answers challenges by records of DNS.
type ACMESolver struct {
	DNS01 DNS01Solver `json:"dns01"`
}

// DNS01Solver is whose zones the records are in.
type DNS01Solver struct {
	Route53 *Route53Solver `json:"route53,omitempty"`
}

// Route53Solver finds the zone by the name of the record, as whatever role cert-manager
// has.
type Route53Solver struct {
	Region string `json:"region"`
}

// CAIssuer is a CA whose certificate and key are in a Secret.
type CAIssuer struct {
	SecretName string `json:"secretName"`
}

// SelfSignedIssuer has each certificate signed by its own key.
type SelfSignedIssuer struct{}

// Certificate asks cert-manager for a certificate in a Secret. It is the part of
// cert-manager.io/v1 that Strata writes.
type Certificate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              CertificateSpec `json:"spec"`
}

// CertificateSpec says for which names, of which issuer, and where to.
type CertificateSpec struct {
	SecretName string         `json:"secretName"`
	CommonName string         `json:"commonName,omitempty"`
	DNSNames   []string       `json:"dnsNames,omitempty"`
	IsCA       bool           `json:"isCA,omitempty"`
	Duration   string         `json:"duration,omitempty"`
	PrivateKey CertificateKey `json:"privateKey"`
	IssuerRef  IssuerRef      `json:"issuerRef"`
}

// CertificateKey is the kind of the key, and when there is a new one.
type CertificateKey struct {
	Algorithm      string `json:"algorithm"`
	Size           int    `json:"size"`
	RotationPolicy string `json:"rotationPolicy"`
}

// IssuerRef names an issuer.
type IssuerRef struct {
	Group string `json:"group"`
	Kind  string `json:"kind"`
	Name  string `json:"name"`
}

// DeepCopyObject returns a copy that shares nothing with the original.
func (in *ClusterIssuer) DeepCopyObject() runtime.Object {
	if in == nil {
		return nil
	}
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	if a := in.Spec.ACME; a != nil {
		c := *a
		c.Solvers = slices.Clone(a.Solvers)
		for i, s := range a.Solvers {
			if r := s.DNS01.Route53; r != nil {
				c.Solvers[i].DNS01.Route53 = &Route53Solver{Region: r.Region}
			}
		}
		out.Spec.ACME = &c
	}
	if ca := in.Spec.CA; ca != nil {
		out.Spec.CA = &CAIssuer{SecretName: ca.SecretName}
	}
	if in.Spec.SelfSigned != nil {
		out.Spec.SelfSigned = &SelfSignedIssuer{}
	}
	return &out
}

// DeepCopyObject returns a copy that shares nothing with the original.
func (in *Certificate) DeepCopyObject() runtime.Object {
	if in == nil {
		return nil
	}
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Spec.DNSNames = slices.Clone(in.Spec.DNSNames)
	return &out
}

// addCertificates registers the types of cert-manager.io/v1 that this package has.
func addCertificates(s *runtime.Scheme) {
	s.AddKnownTypes(schema.GroupVersion{Group: certificateGroup, Version: "v1"}, &ClusterIssuer{}, &Certificate{})
}

// certificates returns the issuer of the gateways' certificates and these: of an ACME
// service, or of a CA of the environment's own. Where our own gateways have certificates of
// the platform's CA, the control plane issues them.
func certificates(env Env, meta func(namespace, name string) metav1.ObjectMeta) []Object {
	if !env.Addons || !tls(env) || env.OwnAuthority() {
		return nil
	}
	issuer := func(name string, spec IssuerSpec) Object {
		return &ClusterIssuer{TypeMeta: gvk(certificateAPI, kindClusterIssuer), ObjectMeta: meta("", name), Spec: spec}
	}
	certificate := func(namespace, name, issuer string, spec CertificateSpec) Object {
		spec.SecretName = name
		// A new key with each certificate, so that one that got out is of no use for long.
		spec.PrivateKey = CertificateKey{Algorithm: "ECDSA", Size: 256, RotationPolicy: "Always"}
		if spec.IsCA {
			spec.PrivateKey.RotationPolicy = "Never"
		}
		spec.IssuerRef = IssuerRef{Group: certificateGroup, Kind: kindClusterIssuer, Name: issuer}
		return &Certificate{TypeMeta: gvk(certificateAPI, "Certificate"), ObjectMeta: meta(namespace, name), Spec: spec}
	}
	var objs []Object
	switch {
	case env.TLS == model.TLSPlatformCA:
		objs = []Object{
			issuer(certificateRoot, IssuerSpec{SelfSigned: &SelfSignedIssuer{}}),
			issuer(certificateIssuer, IssuerSpec{CA: &CAIssuer{SecretName: certificateCA}}),
			certificate(certificateNamespace, certificateCA, certificateRoot, CertificateSpec{
				CommonName: env.Platform + " " + env.Name, IsCA: true, Duration: caDuration,
			}),
		}
	case env.Cloud == model.CloudAWS:
		objs = []Object{issuer(certificateIssuer, IssuerSpec{ACME: &ACMEIssuer{
			Server: acmeServer, PrivateKeySecretRef: NamedSecret{Name: "strata-acme"},
			Solvers: []ACMESolver{{DNS01: DNS01Solver{Route53: &Route53Solver{Region: env.Region}}}},
		}})}
	default:
		return nil // there is no way to answer challenges yet
	}
	for _, class := range []string{ClassPublic, ClassInternal} {
		d := domain(env, class)
		objs = append(objs, certificate(GatewayNamespace, CertificateName(class), certificateIssuer, CertificateSpec{DNSNames: []string{d, "*." + d}}))
	}
	return objs
}
