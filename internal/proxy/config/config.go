// Package config is what the data plane is told: the file that a sidecar reads and the
// document that a gateway is sent, as Go types and as JSON. It holds shapes, the names and
// ports of docs/adr/0018-data-plane.md, and the check that a document makes sense. It holds
// nothing that acts on them: that is internal/proxy. It imports the standard library
// alone, so that the compiler and the control plane can write what the proxies read.
package config

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Ports and files of every pod in the mesh.
const (
	// FirstPort and LastPort are the ports that are no application's.
	FirstPort = 15000
	LastPort  = 15299
	// InboundBase is the first port for mutual TLS; the nth port of a workload's Service
	// has InboundBase+n.
	InboundBase = 15100
	// OutboundBase is the first loopback port for calls; the nth call has OutboundBase+n.
	OutboundBase = 15200
	// MetricsPort serves Prometheus metrics by mutual TLS, to the control plane alone.
	MetricsPort = 15020
	// HealthPort answers probes, in plain HTTP: LivePath that the process serves,
	// ReadyPath that it has what it needs to carry traffic.
	HealthPort = 15021
	LivePath   = "/livez"
	ReadyPath  = "/readyz"
	// ControlPort is where the control plane serves gateways.
	ControlPort = 15010

	// ConfigFile is the sidecar's configuration.
	ConfigFile = "/etc/strata/proxy/config.json"
	// CredentialsFile holds the pod's private key and certificate chain, in PEM.
	CredentialsFile = "/run/strata/identity/credentials.pem"
	// TrustFile holds the certificates of the trust domain's authorities, in PEM.
	TrustFile = "/run/strata/identity/trust.pem"

	// Signer is the name of the signer of pod certificates.
	Signer = "strata.dev/workload"
	// TrustBundle is the ClusterTrustBundle with the authorities of Signer.
	TrustBundle = "strata.dev:workload:roots"

	// ControlNamespace and ControlAccount are where the control plane runs and as whom.
	ControlNamespace = "strata-system"
	ControlAccount   = "strata-control"

	// SidecarName is the name of the container beside a workload's own.
	SidecarName = "strata-proxy"
	// EndpointsSuffix follows a workload's name in that of the headless Service whose DNS
	// name has the addresses of its ready pods.
	EndpointsSuffix = "-endpoints"

	// GatewayClass is the GatewayClass of our own gateways, GatewayController the name of
	// its controller.
	GatewayClass      = "strata"
	GatewayController = "strata.dev/gateway"

	// IdentityAnnotation is on the Services of workloads in the mesh: the SPIFFE ID that
	// the sidecars behind it have.
	IdentityAnnotation = "strata.dev/identity"
)

// TrustDomain returns the trust domain of an environment, such as "prod.acme.example".
func TrustDomain(environment, platformDomain string) string {
	return environment + "." + platformDomain
}

// ID returns the SPIFFE ID of a service account
// (https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md).
func ID(trustDomain, namespace, account string) string {
	return "spiffe://" + trustDomain + "/ns/" + namespace + "/sa/" + account
}

// GatewayAccount returns the name of the service account of a gateway's pods, and so of
// their identity, and of all other objects that make up the gateway: "<gateway>-<class>" as GEP-1762 asks. A name that
// is no DNS label is made one, with a digest that keeps it apart from others.
func GatewayAccount(gateway, class string) string {
	name := gateway + "-" + class
	if len(name) <= 63 && !strings.Contains(name, ".") {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	name = strings.ReplaceAll(name, ".", "-")
	return name[:min(52, len(name))] + "-" + hex.EncodeToString(sum[:5])
}

// Protocols of a call.
const (
	// ProtocolHTTP is HTTP/1.1 and HTTP/2 without TLS, WebSocket and gRPC included.
	ProtocolHTTP = "http"
	// ProtocolTCP is any stream of bytes.
	ProtocolTCP = "tcp"
)

// Sidecar is the configuration of the proxy beside a workload.
type Sidecar struct {
	// TrustDomain, Namespace and Workload say who the workload is.
	TrustDomain string `json:"trustDomain"`
	Namespace   string `json:"namespace"`
	Workload    string `json:"workload"`
	// Inbound are the ports that the workload serves.
	Inbound []Inbound `json:"inbound,omitempty"`
	// Outbound are the calls that the workload declares.
	Outbound []Outbound `json:"outbound,omitempty"`
}

// Inbound is a port for mutual TLS in front of one of the application's.
type Inbound struct {
	// Name is the name of the Service's port.
	Name string `json:"name"`
	// Listen is the port for mutual TLS, on all addresses of the pod.
	Listen int `json:"listen"`
	// Target is the application's port, on loopback.
	Target int `json:"target"`
	// Callers are the SPIFFE IDs that may connect.
	Callers []string `json:"callers"`
}

// Outbound is a declared call.
type Outbound struct {
	// Name is the name of the resource in the Score file.
	Name string `json:"name"`
	// Listen is the port on loopback that the application connects to.
	Listen int `json:"listen"`
	// Host is a DNS name whose addresses are those of the ready pods.
	Host string `json:"host"`
	// Port is these pods' port for mutual TLS.
	Port int `json:"port"`
	// Service is the name and port of a Service whose address leads to a ready pod. It is
	// taken when none of Host's addresses can be reached: those of DNS may be as old as its
	// caches let them be, while the network follows within a second. Empty: there is none.
	Service string `json:"service,omitempty"`
	// Identity is the SPIFFE ID that they must have.
	Identity string `json:"identity"`
	// Protocol is ProtocolHTTP or ProtocolTCP.
	Protocol string `json:"protocol"`
	// Timeout is how long a request may take; 0 means no limit. It has no meaning for TCP.
	Timeout Duration `json:"timeout,omitempty"`
}

// Duration is a time.Duration that JSON writes as "1.5s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; it wants what time.ParseDuration does.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Metrics of the metrics API for autoscalers, with the labels that select one.
const (
	// RequestsMetric is how many requests per second the pods of a workload get together.
	RequestsMetric = "http_requests_per_second"
	// LabelWorkload selects a workload of the autoscaler's namespace.
	LabelWorkload = "workload"
	// QueueMetric is how many messages are in a queue.
	QueueMetric = "queue_messages"
	// LabelQueue is the queue's name; LabelBroker is BrokerLabel of its broker.
	LabelQueue  = "queue"
	LabelBroker = "broker"
	// ScalingPort is where the control plane serves the metrics API.
	ScalingPort = 15011
	// ScalingAPI is the name of the metrics API, ScalingSecret that of the Secret with the
	// key that its server shows.
	ScalingAPI    = "v1beta1.external.metrics.k8s.io"
	ScalingSecret = "strata-control-metrics"
	// BrokerMetricsPort is where a broker of a local environment serves metrics, and
	// BrokerPortName the name of that port of its Service.
	BrokerMetricsPort = 15691
	BrokerPortName    = "metrics"
)

// BrokerLabel is the value of LabelBroker for the broker that a unit made, whose name in
// its environment is such as "shared/amqp/default/orders".
func BrokerLabel(unit string) string { return strings.ReplaceAll(unit, "/", ".") }
