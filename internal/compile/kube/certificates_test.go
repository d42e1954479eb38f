package kube

import (
	"reflect"
	"slices"
	"testing"

	"github.com/stratahq/strata/internal/model"
)

// withAddons returns what an environment in AWS has once, with certificates as tls says.
func withAddons(t *testing.T, env Env, tls string) []Object {
	t.Helper()
	env.Addons, env.Region, env.TLS = true, "eu-west-1", tls
	objs, err := RenderPlatform(env, Platform{})
	if err != nil {
		t.Fatal(err)
	}
	return objs
}

// TestCertificates holds each Gateway to a certificate of somebody: each Secret that a
// listener names is that of one Certificate for the hosts of the class, unless the control
// plane issues it.
func TestCertificates(t *testing.T) {
	own := prodEnv()
	own.GatewayClass, own.ControlImage = "strata", "control@sha256:0"
	elsewhere := prodEnv()
	elsewhere.Cloud = model.CloudGCP
	for name, c := range map[string]struct {
		env    Env
		tls    string
		issued []string // Secrets
	}{
		"of an ACME service":              {prodEnv(), model.TLSACME, []string{"internal-tls", "public-tls"}},
		"of an ACME service, own gateway": {own, model.TLSACME, []string{"internal-tls", "public-tls"}},
		"of a CA of the environment's":    {prodEnv(), model.TLSPlatformCA, []string{"internal-tls", "public-tls", "strata-ca"}},
		"of the control plane":            {own, model.TLSPlatformCA, nil},
		"none":                            {prodEnv(), model.TLSDisabled, nil},
		"a cloud without challenges":      {elsewhere, model.TLSACME, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var issued []string
			issuers := map[string]bool{}
			for _, obj := range withAddons(t, c.env, c.tls) {
				switch o := obj.(type) {
				case *ClusterIssuer:
					issuers[o.Name] = true
				case *Certificate:
					issued = append(issued, o.Spec.SecretName)
					if !issuers[o.Spec.IssuerRef.Name] {
						t.Errorf("%s is issued by %s, which is not there before it", o.Name, o.Spec.IssuerRef.Name)
					}
					if d := c.env.InternalDomain; o.Name == CertificateName(ClassInternal) && !slices.Equal(o.Spec.DNSNames, []string{d, "*." + d}) {
						t.Errorf("%s is for %v", o.Name, o.Spec.DNSNames)
					}
				}
			}
			slices.Sort(issued)
			if !slices.Equal(issued, c.issued) {
				t.Errorf("certificates: %v, want %v", issued, c.issued)
			}
			if len(c.issued) == 0 && len(issuers) > 0 {
				t.Errorf("issuers of nothing: %v", issuers)
			}
		})
	}
	without := prodEnv()
	without.TLS = model.TLSACME
	objs, err := RenderPlatform(without, Platform{})
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range objs {
		switch obj.(type) {
		case *ClusterIssuer, *Certificate, *ClusterSecretStore:
			t.Errorf("a cluster without add-ons is told of %T", obj)
		}
	}
}

// TestCertificateCopies changes copies and looks at the originals.
func TestCertificateCopies(t *testing.T) {
	copied := map[string]bool{}
	for _, tls := range []string{model.TLSACME, model.TLSPlatformCA} {
		changed, kept := withAddons(t, prodEnv(), tls), withAddons(t, prodEnv(), tls)
		for i, obj := range changed {
			var c any
			switch o := obj.(type) {
			case *ClusterIssuer:
				d := o.DeepCopyObject().(*ClusterIssuer)
				d.Labels["x"] = "y"
				if d.Spec.ACME != nil {
					d.Spec.ACME.Solvers[0].DNS01.Route53.Region = "elsewhere"
					d.Spec.ACME.Server = "elsewhere"
				}
				if d.Spec.CA != nil {
					d.Spec.CA.SecretName = "other"
				}
				c = d
			case *Certificate:
				d := o.DeepCopyObject().(*Certificate)
				for j := range d.Spec.DNSNames {
					d.Spec.DNSNames[j] = "other"
				}
				d.Labels["x"] = "y"
				c = d
			case *ClusterSecretStore:
				d := o.DeepCopyObject().(*ClusterSecretStore)
				d.Spec.Provider.AWS.Region = "elsewhere"
				d.Spec.Conditions[0].NamespaceSelector.MatchLabels["x"] = "y"
				d.Labels["x"] = "y"
				c = d
			default:
				continue
			}
			copied[reflect.TypeOf(c).String()] = true
			if reflect.DeepEqual(c, any(obj)) {
				t.Errorf("%T: nothing was changed", c)
			}
			if !reflect.DeepEqual(obj, kept[i]) {
				t.Errorf("%T shares with its copy: %+v", c, obj)
			}
		}
	}
	if len(copied) != 3 {
		t.Errorf("only %v were copied", copied)
	}
	if (*ClusterIssuer)(nil).DeepCopyObject() != nil || (*Certificate)(nil).DeepCopyObject() != nil || (*ClusterSecretStore)(nil).DeepCopyObject() != nil {
		t.Error("a copy of nothing is something")
	}
}
