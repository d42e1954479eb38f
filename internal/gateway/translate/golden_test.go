package translate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/stratahq/strata/internal/gateway/routepolicy"
)

var update = flag.Bool("update", false, "write the expected output anew")

const (
	controller  = "strata.dev/gateway"
	trustDomain = "test.example"
)

// TestGolden translates the objects of each testdata/*.txtar. Its output has the gateways'
// configurations and all conditions.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	secrets := newSecrets(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{}
			var objects *Objects
			for _, f := range a.Files {
				if f.Name == "objects.yaml" {
					objects = decode(t, secrets.fill(string(f.Data)))
				} else {
					want[f.Name] = string(f.Data)
				}
			}
			got := map[string]string{}
			r := Translate(objects, Options{Controller: controller, TrustDomain: trustDomain})
			for _, g := range r.Gateways {
				if err := g.Config.Validate(); err != nil {
					t.Errorf("no gateway would take the configuration of %s: %v", g.Key(), err)
				}
				g.Config.Version = ""
				b, err := yaml.Marshal(g.Config)
				if err != nil {
					t.Fatal(err)
				}
				got[g.Key().String()+".yaml"] = secrets.hide(digest.ReplaceAllString(string(b), "${1} DIGEST"))
			}
			got["statuses"] = statuses(r)
			if *update {
				a.Files = a.Files[:1]
				for _, name := range slices.Sorted(maps.Keys(got)) {
					a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(got[name])})
				}
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, name := range slices.Sorted(maps.Keys(got)) {
				if got[name] != want[name] {
					t.Errorf("%s is\n%s\nwant\n%s", name, got[name], want[name])
				}
				delete(want, name)
			}
			for name := range want {
				t.Errorf("there is no %s", name)
			}
		})
	}
}

// digest is that of certificates, which are others each time.
var digest = regexp.MustCompile(`(https://id\.example) [0-9a-f]{8}`)

// statuses writes all statuses, a condition a line.
func statuses(r *Result) string {
	var b strings.Builder
	conditions := func(who string, list []metav1.Condition) {
		for _, c := range list {
			fmt.Fprintf(&b, "%s: %s=%s %s", who, c.Type, c.Status, c.Reason)
			if c.Message != "" {
				fmt.Fprintf(&b, " (%s)", c.Message)
			}
			b.WriteByte('\n')
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Classes)) {
		conditions("class "+name, r.Classes[name].Conditions)
	}
	for _, g := range r.Gateways {
		who := "gateway " + g.Key().String()
		for _, p := range g.Ports {
			fmt.Fprintf(&b, "%s: port %d at %d\n", who, p.Public, p.Listen)
		}
		status := g.Status(deployments[g.Object.Annotations["deployed"]])
		conditions(who, status.Conditions)
		for _, l := range status.Listeners {
			var kinds []string
			for _, k := range l.SupportedKinds {
				kinds = append(kinds, string(k.Kind))
			}
			who := who + " listener " + string(l.Name)
			fmt.Fprintf(&b, "%s: takes %v, has %d\n", who, kinds, l.AttachedRoutes)
			conditions(who, l.Conditions)
		}
	}
	routes := func(kind string, m map[Key]gwv1.RouteStatus) {
		for _, k := range sortedKeys(m) {
			for _, p := range m[k].Parents {
				conditions(fmt.Sprintf("%s %s at %s/%s", kind, k, p.ParentRef.Name, or(p.ParentRef.SectionName, "")), p.Conditions)
			}
		}
	}
	routes("httproute", r.HTTPRoutes)
	routes("grpcroute", r.GRPCRoutes)
	for _, k := range sortedKeys(r.Policies) {
		for _, a := range r.Policies[k].Ancestors {
			conditions(fmt.Sprintf("policy %s at %s", k, a.AncestorRef.Name), a.Conditions)
		}
	}
	return b.String()
}

// deployments are how gateways run, by their annotation "deployed".
var deployments = map[string]Deployed{
	"":            {Addresses: []gwv1.GatewayStatusAddress{{Value: "192.0.2.1"}}, Ready: true},
	"no":          {},
	"not ready":   {Addresses: []gwv1.GatewayStatusAddress{{Value: "192.0.2.1"}}},
	"no address":  {Unusable: "192.0.2.9 is not an address of this cluster", Addresses: []gwv1.GatewayStatusAddress{{Value: "192.0.2.1"}}},
	"no resource": {Problem: "exceeded quota"},
}

func sortedKeys[T any](m map[Key]T) []Key {
	return slices.SortedFunc(maps.Keys(m), func(a, b Key) int { return strings.Compare(a.String(), b.String()) })
}

// decode reads objects as the API server would have completed them, where that matters.
func decode(t *testing.T, text string) *Objects {
	t.Helper()
	o := &Objects{}
	d := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		var raw runtime.RawExtension
		if err := d.Decode(&raw); errors.Is(err, io.EOF) {
			return o
		} else if err != nil {
			t.Fatal(err)
		}
		var meta metav1.TypeMeta
		if err := json.Unmarshal(raw.Raw, &meta); err != nil {
			t.Fatalf("%v in %s", err, raw.Raw)
		}
		into := func(v any) {
			t.Helper()
			dec := json.NewDecoder(bytes.NewReader(raw.Raw))
			dec.DisallowUnknownFields()
			if err := dec.Decode(v); err != nil {
				t.Fatalf("%v in %s", err, raw.Raw)
			}
		}
		switch meta.Kind {
		case "GatewayClass":
			o.Classes = append(o.Classes, read[gwv1.GatewayClass](into))
		case "Gateway":
			o.Gateways = append(o.Gateways, read[gwv1.Gateway](into))
		case "HTTPRoute":
			o.HTTPRoutes = append(o.HTTPRoutes, read[gwv1.HTTPRoute](into))
		case "GRPCRoute":
			o.GRPCRoutes = append(o.GRPCRoutes, read[gwv1.GRPCRoute](into))
		case "ReferenceGrant":
			o.ReferenceGrants = append(o.ReferenceGrants, read[gwv1.ReferenceGrant](into))
		case "BackendTLSPolicy":
			o.BackendTLSPolicies = append(o.BackendTLSPolicies, read[gwv1.BackendTLSPolicy](into))
		case "RoutePolicy":
			o.RoutePolicies = append(o.RoutePolicies, read[routepolicy.RoutePolicy](into))
		case "Service":
			o.Services = append(o.Services, read[corev1.Service](into))
		case "EndpointSlice":
			o.EndpointSlices = append(o.EndpointSlices, read[discoveryv1.EndpointSlice](into))
		case "Secret":
			o.Secrets = append(o.Secrets, read[corev1.Secret](into))
		case "ConfigMap":
			o.ConfigMaps = append(o.ConfigMaps, read[corev1.ConfigMap](into))
		case "Namespace":
			o.Namespaces = append(o.Namespaces, read[corev1.Namespace](into))
		default:
			t.Fatalf("unknown kind in %s", raw.Raw)
		}
	}
}

func read[T any](into func(any)) *T {
	v := new(T)
	into(v)
	return v
}

// secrets are certificates and keys that test data calls CERT, KEY and CA, base64 in
// Secrets and indented in ConfigMaps.
type secrets struct{ cert, key string }

func newSecrets(t *testing.T) secrets {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"test"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return secrets{
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	}
}

func (s secrets) fill(text string) string {
	b64 := base64.StdEncoding.EncodeToString
	quoted, _ := json.Marshal(s.cert)
	return strings.NewReplacer("$CERT", b64([]byte(s.cert)), "$KEY", b64([]byte(s.key)), "$CA", string(quoted)).Replace(text)
}

// hide replaces the blocks of YAML text that hold certificates and keys.
func (s secrets) hide(text string) string {
	var out []string
	skip := false
	for _, line := range strings.Split(text, "\n") {
		switch trimmed := strings.TrimSpace(line); {
		case strings.HasPrefix(trimmed, "-----BEGIN"):
			skip = true
			out = append(out, line[:len(line)-len(trimmed)]+strings.Trim(strings.TrimPrefix(trimmed, "-----BEGIN"), "- "))
		case strings.HasPrefix(trimmed, "-----END"):
			skip = false
		case !skip:
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}
