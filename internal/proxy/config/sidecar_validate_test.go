package config

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func validSidecar() Sidecar {
	return Sidecar{
		TrustDomain: "prod.acme.example", Namespace: "workloads", Workload: "shop",
		Inbound: []Inbound{{Name: "http", Listen: InboundBase, Target: 8080, Callers: []string{ID("prod.acme.example", "workloads", "web")}}},
		Outbound: []Outbound{
			{Name: "catalog", Listen: OutboundBase, Host: "catalog-pods.workloads.svc", Port: InboundBase, Service: "catalog.workloads.svc:80", Identity: ID("prod.acme.example", "workloads", "catalog"), Protocol: ProtocolHTTP, Timeout: Duration(1500 * time.Millisecond)},
			{Name: "db", Listen: OutboundBase + 1, Host: "db.workloads.svc.cluster.local.", Port: InboundBase + 1, Identity: ID("prod.acme.example", "workloads", "db"), Protocol: ProtocolTCP},
		},
	}
}

func TestDecodeSidecar(t *testing.T) {
	want := validSidecar()
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeSidecar(b)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if !strings.Contains(string(b), `"timeout":"1.5s"`) {
		t.Errorf("the timeout is not readable: %s", b)
	}
	for text, want := range map[string]string{
		"":                                  "EOF",
		"[]":                                "cannot unmarshal array",
		`{"inbond":[]}`:                     `unknown field "inbond"`,
		`{} {}`:                             "more than one document",
		`{"outbound":[{"timeout":"soon"}]}`: "invalid duration",
		`{"inbound":[{"listen":"15100"}]}`:  "inbound.listen",
		`"` + strings.Repeat("a", MaxSidecar) + `"`: "at most 1048576 are allowed",
		`{}`: "trustDomain: \"\" is no trust domain",
	} {
		if _, err := DecodeSidecar([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %q", text, err, want)
		}
	}
}

func TestValidateSidecar(t *testing.T) {
	if err := validSidecar().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Sidecar){
		`trustDomain: "Acme" is no trust domain`:                             func(s *Sidecar) { s.TrustDomain = "Acme" },
		`namespace: "a.b" is no DNS label`:                                   func(s *Sidecar) { s.Namespace = "a.b" },
		`workload: "" is no DNS label`:                                       func(s *Sidecar) { s.Workload = "" },
		`inbound[0].listen: 70000 is no port`:                                func(s *Sidecar) { s.Inbound[0].Listen = 70000 },
		`inbound[0].listen: port 15020 is taken by metrics`:                  func(s *Sidecar) { s.Inbound[0].Listen = MetricsPort },
		`outbound[0].listen: port 15100 is taken by inbound[0]`:              func(s *Sidecar) { s.Outbound[0].Listen = InboundBase },
		`inbound[0].name: "UP" is no DNS label`:                              func(s *Sidecar) { s.Inbound[0].Name = "UP" },
		`inbound[1].name: there is another "http"`:                           func(s *Sidecar) { s.Inbound = append(s.Inbound, s.Inbound[0]) },
		`inbound[0].target: 0 is no port`:                                    func(s *Sidecar) { s.Inbound[0].Target = 0 },
		`inbound[0].target: port 15201 is the sidecar's own`:                 func(s *Sidecar) { s.Inbound[0].Target = OutboundBase + 1 },
		`inbound[0].callers[0]: "web" is no SPIFFE ID`:                       func(s *Sidecar) { s.Inbound[0].Callers[0] = "web" },
		`"spiffe://dev.acme.example/ns/a/sa/b" is no SPIFFE ID of the trust`: func(s *Sidecar) { s.Inbound[0].Callers[0] = "spiffe://dev.acme.example/ns/a/sa/b" },
		`"" is no segment of its path`:                                       func(s *Sidecar) { s.Inbound[0].Callers[0] = "spiffe://prod.acme.example/ns//web" },
		`".." is no segment of its path`:                                     func(s *Sidecar) { s.Inbound[0].Callers[0] = "spiffe://prod.acme.example/ns/../web" },
		`"a?b" is no segment of its path`:                                    func(s *Sidecar) { s.Inbound[0].Callers[0] = "spiffe://prod.acme.example/a?b" },
		`outbound[1].name: there is another "catalog"`:                       func(s *Sidecar) { s.Outbound[1].Name = "catalog" },
		`outbound[0].host: "" is no DNS name`:                                func(s *Sidecar) { s.Outbound[0].Host = "" },
		`outbound[0].host: "*.svc" is no DNS name`:                           func(s *Sidecar) { s.Outbound[0].Host = "*.svc" },
		`outbound[0].host: "a/b" is no DNS name`:                             func(s *Sidecar) { s.Outbound[0].Host = "a/b" },
		`outbound[0].port: -1 is no port`:                                    func(s *Sidecar) { s.Outbound[0].Port = -1 },
		`outbound[0].service: "catalog" is no DNS name and port`:             func(s *Sidecar) { s.Outbound[0].Service = "catalog" },
		`outbound[1].service: "db.workloads.svc:0" is no DNS name and port`:  func(s *Sidecar) { s.Outbound[1].Service = "db.workloads.svc:0" },
		`outbound[0].identity: "" is no SPIFFE ID`:                           func(s *Sidecar) { s.Outbound[0].Identity = "" },
		`outbound[0].protocol: "grpc" is neither "http" nor "tcp"`:           func(s *Sidecar) { s.Outbound[0].Protocol = "grpc" },
		`outbound[0].timeout: it is negative`:                                func(s *Sidecar) { s.Outbound[0].Timeout = -1 },
	} {
		s := validSidecar()
		change(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// FuzzDecodeSidecar checks that what is accepted is accepted again when it is written.
func FuzzDecodeSidecar(f *testing.F) {
	b, err := json.Marshal(validSidecar())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"trustDomain":"a","namespace":"b","workload":"c"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeSidecar(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		other, err := DecodeSidecar(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if b, err := json.Marshal(other); err != nil || string(b) != string(again) {
			t.Errorf("%s becomes %s, %v", again, b, err)
		}
	})
}
