package model

import "github.com/stratahq/strata/internal/proxy/config"

// The clouds an environment can be in.
const (
	CloudAWS   = "aws"
	CloudGCP   = "gcp"
	CloudAzure = "azure"
	CloudLocal = "local"
)

// Who does mutual TLS between an environment's workloads.
const (
	MeshStrata = "strata"
	MeshIstio  = "istio"
)

// Environment is an isolated copy of the platform: environments/<name>.yaml.
type Environment struct {
	APIVersion string          `json:"apiVersion" doc:"Version of this format." rule:"required;enum=strata/v1alpha1"`
	Kind       string          `json:"kind" doc:"Kind of this document." rule:"required;enum=Environment"`
	Metadata   Metadata        `json:"metadata" doc:"Names the environment; the file has the same name." rule:"required"`
	Spec       EnvironmentSpec `json:"spec" doc:"The environment." rule:"required"`
	Source     Source          `json:"-"`
}

// EnvironmentSpec is the body of an Environment.
type EnvironmentSpec struct {
	Cloud        string                      `json:"cloud" doc:"Where the environment runs." rule:"required;enum=aws|gcp|azure|local"`
	Account      *Account                    `json:"account,omitempty" doc:"The account (AWS), project (Google Cloud) or subscription (Azure) that holds the environment and nothing else. Required outside local."`
	Region       string                      `json:"region,omitempty" doc:"Region of the cloud. Required outside local." rule:"pattern=dns-label"`
	Protected    bool                        `json:"protected,omitempty" doc:"Deletion protection on every resource that holds data; destroying needs this switched off first."`
	PromotesFrom string                      `json:"promotesFrom,omitempty" doc:"Environment whose releases are promoted into this one." rule:"pattern=dns-label"`
	Approvals    *Approvals                  `json:"approvals,omitempty" doc:"Who must approve a plan before it is applied."`
	State        *State                      `json:"state,omitempty" doc:"Where OpenTofu keeps this environment's state. Local environments keep it on disk."`
	Network      *Network                    `json:"network,omitempty" doc:"The environment's private network. Required outside local."`
	Cluster      *Cluster                    `json:"cluster,omitempty" doc:"The Kubernetes cluster."`
	Ingress      *Ingress                    `json:"ingress,omitempty" doc:"How traffic enters."`
	Mesh         string                      `json:"mesh,omitempty" doc:"Who does mutual TLS between workloads: strata (sidecars of our own) or istio (ambient)." rule:"enum=strata|istio;default=strata"`
	Telemetry    *Telemetry                  `json:"telemetry,omitempty" doc:"Where traces and metrics go."`
	Secrets      *Secrets                    `json:"secrets,omitempty" doc:"The central secrets service. By default the cloud's own."`
	Addons       *Addons                     `json:"addons,omitempty" doc:"Programs that a cluster in a cloud needs besides Kubernetes. By default Strata installs those that the environment needs."`
	DNS          *DNS                        `json:"dns,omitempty" doc:"The environment's DNS zone."`
	Registry     *RegistrySpec               `json:"registry,omitempty" doc:"The environment's image registry, where it has one of its own."`
	Identity     *IdentitySpec               `json:"identity,omitempty" doc:"How the cluster's API server trusts the platform's identity provider, where that exists already."`
	Resources    map[string]ResourceDefaults `json:"resources,omitempty" doc:"Defaults for every resource of a type, by type."`
	Workloads    map[string]WorkloadOverride `json:"workloads,omitempty" doc:"What differs for a workload in this environment, by workload." rule:"keypattern=dns-label"`
	Tags         map[string]string           `json:"tags,omitempty" doc:"Tags (labels) for every cloud resource of this environment."`
}

// GatewayClass returns the GatewayClass that serves the environment's routes.
func (e *Environment) GatewayClass() string {
	if e.Spec.Ingress != nil && e.Spec.Ingress.Class != "" {
		return e.Spec.Ingress.Class
	}
	if e.Spec.Mesh == MeshIstio {
		return "istio"
	}
	return config.GatewayClass
}

// Who issues the certificates of an environment's routes.
const (
	TLSACME       = "acme"
	TLSPlatformCA = "platform-ca"
	TLSDisabled   = "disabled"
)

// TLS returns who issues the certificates of the environment's routes: acme, platform-ca
// or disabled; empty where there is no ingress.
func (e *Environment) TLS() string {
	switch in := e.Spec.Ingress; {
	case in == nil:
		return ""
	case in.TLS != "":
		return in.TLS
	case e.Spec.Cloud == CloudLocal:
		return TLSDisabled
	}
	return TLSACME
}

// Existing names what is already there: the outputs of the contract that
// Strata would otherwise provide, by output name.
type Existing map[string]any

// Account pins an environment to one account, project or subscription.
type Account struct {
	ID           string         `json:"id,omitempty" doc:"Twelve-digit account id (AWS), project id (Google Cloud) or subscription id (Azure). Quote it: a leading zero matters." rule:"pattern=account-id"`
	Role         string         `json:"role,omitempty" doc:"Role (AWS), service account (Google Cloud) or managed identity (Azure) that Strata assumes."`
	Existing     Existing       `json:"existing,omitempty" doc:"The account is there already: the outputs of the account contract (explain platform.account)."`
	Create       *AccountCreate `json:"create,omitempty" doc:"Strata creates the account."`
	ShareAccount bool           `json:"shareAccount,omitempty" doc:"Allows another environment in the same account. Give the reason."`
	Reason       string         `json:"reason,omitempty" doc:"Why the account is shared."`
}

// AccountCreate says how to create an account.
type AccountCreate struct {
	Name   string `json:"name" doc:"Name of the account." rule:"required"`
	Email  string `json:"email,omitempty" doc:"Root e-mail address (AWS)." rule:"pattern=email"`
	Parent string `json:"parent" doc:"Organizational unit (AWS), folder (Google Cloud) or management group (Azure) to put it in." rule:"required"`
	Budget int    `json:"budget,omitempty" doc:"Monthly budget in US dollars; the platform is alerted at 80 and 100 percent." rule:"min=1;max=100000000"`
}

// Approvals says who must approve a plan.
type Approvals struct {
	Required  int      `json:"required" doc:"Number of distinct people who must approve." rule:"required;min=0;max=10"`
	Groups    []string `json:"groups,omitempty" doc:"Only people in one of these groups count. Empty means everybody in spec.people."`
	NotAuthor bool     `json:"notAuthor,omitempty" doc:"The author of the plan does not count."`
}

// State says where OpenTofu state is kept.
type State struct {
	Backend       string `json:"backend" doc:"OpenTofu backend." rule:"required;enum=s3|gcs|azurerm|pg|local"`
	Bucket        string `json:"bucket,omitempty" doc:"Bucket (s3, gcs) or container (azurerm)." rule:"pattern=bucket"`
	Prefix        string `json:"prefix,omitempty" doc:"Key prefix within the bucket. Default: the platform's name." rule:"pattern=key-prefix"`
	Region        string `json:"region,omitempty" doc:"Region of the bucket, when it differs from the environment's." rule:"pattern=dns-label"`
	Account       string `json:"storageAccount,omitempty" doc:"Storage account (azurerm)." rule:"pattern=bucket"`
	ResourceGroup string `json:"resourceGroup,omitempty" doc:"Resource group of the storage account (azurerm)."`
	KMSKey        string `json:"kmsKey,omitempty" doc:"Key that encrypts the state: the key's ARN (s3) or resource name (gcs)."`
}

// Network describes a private network.
type Network struct {
	CIDR     string   `json:"cidr,omitempty" doc:"IPv4 range of the network, /16 to /24. Ranges of one cloud's environments may not overlap." rule:"pattern=cidr"`
	Zones    int      `json:"zones,omitempty" doc:"Number of availability zones to spread over." rule:"min=1;max=6;default=3"`
	NAT      string   `json:"nat,omitempty" doc:"Outbound internet access of private subnets: a gateway in each zone, one shared, or none." rule:"enum=per-zone|shared|none;default=per-zone"`
	Existing Existing `json:"existing,omitempty" doc:"The network is there already: the outputs of the network contract (explain platform.network)."`
}

// Cluster describes a Kubernetes cluster.
type Cluster struct {
	Version   string     `json:"version,omitempty" doc:"Kubernetes minor version, such as \"1.35\". Quote it." rule:"pattern=kubernetes-minor"`
	NodePools []NodePool `json:"nodePools,omitempty" doc:"Groups of equal machines. Required outside local unless the cluster exists."`
	Existing  Existing   `json:"existing,omitempty" doc:"The cluster is there already: the outputs of the cluster contract (explain platform.cluster), or its kubeconfig."`
}

// NodePool is a group of equal machines.
type NodePool struct {
	Name        string            `json:"name" doc:"Name, unique in the cluster." rule:"required;pattern=dns-label"`
	Instance    string            `json:"instance" doc:"Instance type of the cloud." rule:"required"`
	Min         int               `json:"min" doc:"Fewest nodes." rule:"min=0;max=5000"`
	Max         int               `json:"max" doc:"Most nodes." rule:"required;min=1;max=5000"`
	Accelerator string            `json:"accelerator,omitempty" doc:"Model of the accelerator on these machines, such as nvidia-l4. Only workloads that ask for it run here." rule:"pattern=dns-label"`
	Spot        bool              `json:"spot,omitempty" doc:"Use spare capacity that the cloud may take back at short notice."`
	Labels      map[string]string `json:"labels,omitempty" doc:"Further node labels."`
}

// Ingress says how traffic enters.
type Ingress struct {
	Domain         string `json:"domain" doc:"Domain below which route hosts without a dot are put." rule:"required;pattern=dns-name"`
	InternalDomain string `json:"internalDomain,omitempty" doc:"The same for routes of class internal. Default: internal.<domain>." rule:"pattern=dns-name"`
	Class          string `json:"class,omitempty" doc:"GatewayClass that serves the routes. Default: strata, or istio where that is the mesh." rule:"pattern=dns-label"`
	TLS            string `json:"tls,omitempty" doc:"Who issues certificates: the platform's own CA, or ACME. Default: acme; in local environments disabled." rule:"enum=acme|platform-ca|disabled"`
}

// Secrets says which central secrets service the environment uses.
type Secrets struct {
	Existing Existing `json:"existing,omitempty" doc:"The service is there already: the outputs of the secrets contract (explain platform.secrets)."`
}

// Addons says who installs what a cluster needs besides Kubernetes.
type Addons struct {
	Existing Existing `json:"existing,omitempty" doc:"The add-ons are there already, or somebody else installs them: the outputs of the addons contract (explain platform.addons); {} is enough."`
}

// Telemetry says where programs, sidecars and gateways send traces, and programs metrics.
type Telemetry struct {
	Endpoint string `json:"endpoint" doc:"URL that takes OTLP over HTTP, such as http://collector.monitoring.svc:4318. Workloads get it as OTEL_EXPORTER_OTLP_ENDPOINT unless they set it themselves." rule:"required;pattern=http-url"`
}

// DNS says which zone the environment's names are in.
type DNS struct {
	Zone     string   `json:"zone,omitempty" doc:"Zone to create. Default: the ingress domain." rule:"pattern=dns-name"`
	Existing Existing `json:"existing,omitempty" doc:"The zone is there already: the outputs of the dns contract (explain platform.dns)."`
}

// RegistrySpec says which image registry the environment uses.
type RegistrySpec struct {
	Existing Existing `json:"existing,omitempty" doc:"The registry is there already: the outputs of the registry contract (explain platform.registry)."`
}

// IdentitySpec says how the environment's cluster knows people.
type IdentitySpec struct {
	Existing Existing `json:"existing,omitempty" doc:"The cluster trusts an identity provider already; Strata then leaves its configuration alone. Keys: issuer, usernamePrefix, groupsPrefix."`
}

// ResourceDefaults are the defaults for every resource of a type.
type ResourceDefaults struct {
	Class  string         `json:"class,omitempty" doc:"Class for resources that name none." rule:"pattern=score-name"`
	Params map[string]any `json:"params,omitempty" doc:"Parameters of the type's contract. A workload's own parameters win over them."`
}

// WorkloadOverride is what differs for a workload in one environment.
type WorkloadOverride struct {
	Replicas   *int                         `json:"replicas,omitempty" doc:"Number of pods of a workload without a horizontal-pod-autoscaler." rule:"min=0;max=1000"`
	Resources  map[string]ResourceOverride  `json:"resources,omitempty" doc:"Overrides of the workload's resources, by the resource's name in the Score file."`
	Containers map[string]ContainerOverride `json:"containers,omitempty" doc:"Overrides of the workload's containers, by name."`
}

// ResourceOverride changes one resource of a workload in one environment.
type ResourceOverride struct {
	Class    string         `json:"class,omitempty" doc:"Class instead of the workload's." rule:"pattern=score-name"`
	Params   map[string]any `json:"params,omitempty" doc:"Parameters that win over the workload's."`
	Existing Existing       `json:"existing,omitempty" doc:"The resource is there already: the outputs of the type's contract. Give secret outputs as the secret's path in the central secrets service."`
}

// ContainerOverride changes one container of a workload in one environment.
type ContainerOverride struct {
	Variables map[string]string   `json:"variables,omitempty" doc:"Environment variables added or replaced. Placeholders work as in the Score file."`
	Resources *ContainerResources `json:"resources,omitempty" doc:"Requests and limits instead of the workload's."`
}
