package kube

import (
	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/gateway/routepolicy"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/proxy/config"
)

// Env is what rendering needs to know of an environment.
type Env struct {
	Platform       string // name of the platform
	PlatformDomain string
	Name           string
	Cloud          string // aws, gcp, azure or local
	Region         string
	// Addons says that the cluster has the add-ons of package compile's unit: External
	// Secrets, cert-manager, a load balancer controller.
	Addons         bool
	Protected      bool
	Mesh           string // strata or istio
	IngressDomain  string // may be empty: no routes then
	InternalDomain string
	GatewayClass   string
	TLS            string // acme, platform-ca or disabled
	Telemetry      string // URL that takes OTLP over HTTP; may be empty
	Access         []model.AccessRule
	Labels         map[string]string
	// GroupsPrefix is what the cluster puts before the identity provider's
	// group names; usually empty.
	GroupsPrefix string
	// KEDA says that autoscalers which go by queues are KEDA's, as there is no control plane
	// of ours that would serve them.
	KEDA bool
	// ProxyImage is the image of sidecars and gateways, ControlImage that of the
	// control plane. They are no part of what all units of the environment share: a unit
	// that runs none of them does not change with them.
	ProxyImage, ControlImage string `json:"-"`
}

// TrustDomain returns the trust domain of the environment's identities.
func (e Env) TrustDomain() string { return config.TrustDomain(e.Name, e.PlatformDomain) }

// Sidecars reports whether workloads talk through proxies beside them.
func (e Env) Sidecars() bool { return e.Mesh == model.MeshStrata && e.ProxyImage != "" }

// OwnGateways reports whether the environment's traffic enters by gateways of our own.
func (e Env) OwnGateways() bool {
	return e.IngressDomain != "" && e.GatewayClass == config.GatewayClass && e.ControlImage != ""
}

// Platform is the input of the unit with what an environment has once.
type Platform struct {
	Addr addr.Unit
}

// Team is the input of a team's unit: its namespace and what guards it.
type Team struct {
	Addr   addr.Unit
	Name   string
	Team   model.Team
	Labels map[string]string
}

// Workload is a workload as it is in one environment: overrides merged,
// placeholders parsed, images chosen.
type Workload struct {
	Addr        addr.Unit
	Name        string
	Team        string // also its namespace
	Annotations map[string]string
	Containers  []Container // sorted by name
	Ports       []Port      // of the Service, sorted by name
	Replicas    *int        // nil: the renderer's default
	Routes      []Route
	Volumes     []Volume
	Autoscaler  *Autoscaler
	Schedule    *Schedule
	GPU         *GPU
	// Outputs are the resource outputs that the workload uses, sorted by
	// resource and output. Values come from the ConfigMap and secrets from
	// the Secret that OutputsName names.
	Outputs []Output
	// Calls are the workloads that this one calls; Callers those that call it.
	Calls   []Call
	Callers []Call
	// Needs are the resources outside the workload that it connects to, such as a
	// database, so that egress can be opened to them.
	Needs []Need
}

// Container is a container of a workload with its placeholders parsed.
type Container struct {
	Name      string
	Image     string
	Command   []string
	Args      []string
	Variables []Variable // sorted by name
	Files     []File     // sorted by path
	Mounts    []Mount    // sorted by path
	Resources model.ContainerResources
	Liveness  *model.Probe
	Readiness *model.Probe
	// Before lists containers that start after this one, with the state it
	// must have reached (Score's "before").
	Before map[string]model.ContainerDependsOn
}

// Part is a piece of a value: either Text or the output of a resource.
type Part struct {
	Text   string
	Output *Output
}

// Output is an output of a resource that a workload uses.
type Output struct {
	Resource string // name in the Score file
	Name     string // name of the output
	Secret   bool
	// SecretPath is the secret's path in the central secrets service.
	SecretPath string
}

// Key is the output's key in the workload's ConfigMap or Secret of outputs.
func (o Output) Key() string { return o.Resource + "." + o.Name }

// Variable is an environment variable.
type Variable struct {
	Name  string
	Value []Part
}

// File is a file put into a container.
type File struct {
	Path string
	// Mode is an octal string such as "0444"; empty: 0444.
	Mode string
	// Content is text and outputs; Binary is set instead for binary content.
	Content []Part
	Binary  []byte
}

// Mount mounts a volume resource (Volume is its name in the Score file).
type Mount struct {
	Path, SubPath, Volume string
	ReadOnly              bool
}

// Port is a port of the workload's Service.
type Port struct {
	Name         string
	Port, Target int
	Protocol     string // TCP or UDP
}

// Route exposes a port of the workload.
type Route struct {
	Resource string
	Class    string // public or internal
	Host     string // full name
	Path     string // path prefix, at least "/"
	Port     int    // port of the Service
	// Policy limits requests and asks for tokens; nil: neither.
	Policy *routepolicy.Spec `json:",omitempty"`
}

// Volume is a volume resource.
type Volume struct {
	Resource   string
	Size       string // quantity
	AccessMode string // ReadWriteOnce or ReadWriteMany
	Class      string // storage class; empty: the cluster's default
	Ephemeral  bool
}

// Autoscaler scales on metrics. A zero target is not used.
type Autoscaler struct {
	Min, Max          int
	CPU, Memory       int // target utilisation in percent of requests
	RequestsPerSecond int // per pod
	QueueDepth        int // messages per pod
	Queue             string
	// Broker is config.BrokerLabel of the unit that made the queue's broker; empty when no
	// unit of this environment did.
	Broker string
}

// Schedule makes the workload a CronJob.
type Schedule struct {
	Cron, Timezone string
	Concurrency    string // Allow, Forbid or Replace
	Deadline       int    // seconds
	Retries        int
}

// GPU asks for accelerators.
type GPU struct {
	Count int
	Model string // accelerator of a node pool; empty: any
}

// Call is a declared call: of Workload on one of its Service's ports. Among Callers,
// Workload is who calls.
type Call struct {
	// Resource is the service resource that declares it; empty among Callers.
	Resource       string
	Workload, Team string
	Port, Target   int
	// Protocol is TCP or UDP; empty: TCP.
	Protocol string
	// Place is the port's place among those of the called workload's Service.
	Place int
	// Traffic is what the bytes are, as internal/proxy/config has it; empty among Callers.
	Traffic string
	// Listen is the port on loopback that the caller's sidecar takes it on; 0 for UDP,
	// and among Callers.
	Listen int
}

// meshPort is the port for mutual TLS of the pods that are called.
func (c Call) meshPort() int { return config.InboundBase + c.Place }

// Need is an endpoint outside the workload's own platform, such as a database.
type Need struct {
	Resource, Type string
	// Ports are the TCP ports that the type is served on.
	Ports []int
}
