package keypair

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"
)

// made returns an authority that signed itself.
func made(t *testing.T) Pair {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	cert, err := Sign(template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return Pair{cert, key}
}

func TestParse(t *testing.T) {
	a, b := made(t), made(t)
	if a.Cert.SerialNumber.Cmp(b.Cert.SerialNumber) == 0 || a.Cert.SerialNumber.BitLen() != 127 {
		t.Errorf("serial numbers %x and %x", a.Cert.SerialNumber, b.Cert.SerialNumber)
	}
	cert, other := CertPEM(a.Cert), CertPEM(b.Cert)
	key, err := KeyPEM(a.Key)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.Split(key, "\n")[1]
	for name, c := range map[string]struct {
		cert, key string
		ok        bool
	}{
		"whole":                  {cert, key, true},
		"both in one text":       {cert + key, cert + key, true},
		"no key":                 {cert, "", false},
		"another's key":          {other, key, false},
		"a key for certificate":  {key, key, false},
		"a certificate for key":  {cert, cert, false},
		"two certificates":       {cert + other, key, false},
		"nothing":                {"", "", false},
		"a key that is cut":      {cert, key[:len(key)/2], false},
		"a key with a cut block": {cert, strings.Replace(key, secret[:8], "", 1), false},
	} {
		p, err := Parse(c.cert, c.key)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), secret[8:]) {
			t.Errorf("%s: the error has a part of the key", name)
		}
		if c.ok && (!p.Key.Equal(a.Key) || Fingerprint(p.Cert) != Fingerprint(a.Cert)) {
			t.Errorf("%s: another pair came back", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n")
	f.Fuzz(func(t *testing.T, cert, key string) {
		if p, err := Parse(cert, key); err == nil && !p.Key.PublicKey.Equal(p.Cert.PublicKey) {
			t.Error("the key is that of another certificate")
		}
	})
}
