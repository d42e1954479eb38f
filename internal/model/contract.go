package model

// Layer is one of the five layers.
type Layer string

// The five layers, bottom up.
const (
	LayerProvisioning  Layer = "provisioning"
	LayerRuntime       Layer = "runtime"
	LayerNetworking    Layer = "networking"
	LayerObservability Layer = "observability"
	LayerSecurity      Layer = "security"
)

// Layers lists the five layers, bottom up.
var Layers = []Layer{LayerProvisioning, LayerRuntime, LayerNetworking, LayerObservability, LayerSecurity}

// The scopes of a contract.
const (
	// ScopePlatform contracts are fulfilled once in an environment.
	ScopePlatform = "platform"
	// ScopeResource contracts are what workloads ask for by type.
	ScopeResource = "resource"
)

// Contract is the typed inputs and outputs of a resource type, the same in
// every cloud. A platform team adds its own in a contract.yaml beside a module.
type Contract struct {
	APIVersion string       `json:"apiVersion" doc:"Version of this format." rule:"required;enum=strata/v1alpha1"`
	Kind       string       `json:"kind" doc:"Kind of this document." rule:"required;enum=Contract"`
	Metadata   Metadata     `json:"metadata" doc:"Names the resource type." rule:"required"`
	Spec       ContractSpec `json:"spec" doc:"The contract." rule:"required"`
	Source     Source       `json:"-"`
}

// ContractSpec is the body of a Contract.
type ContractSpec struct {
	Summary     string                    `json:"summary" doc:"What the type is, in one line." rule:"required"`
	Description string                    `json:"description,omitempty" doc:"More about it."`
	Layer       Layer                     `json:"layer" doc:"Layer that its units belong to." rule:"required;enum=provisioning|runtime|networking|observability|security"`
	Scope       string                    `json:"scope,omitempty" doc:"resource: workloads ask for it by type; platform: once in an environment." rule:"enum=resource|platform;default=resource"`
	Classes     []string                  `json:"classes,omitempty" doc:"Classes it knows; the first is the default. Empty means any class, \"default\" by default."`
	Params      map[string]any            `json:"params,omitempty" doc:"JSON Schema (draft 2020-12) of an object: the parameters, with defaults, units and bounds."`
	Outputs     map[string]ContractOutput `json:"outputs,omitempty" doc:"Outputs by name."`
	Ports       []int                     `json:"ports,omitempty" doc:"TCP ports that the resource is served on. A workload that uses it may connect to them; all else stays closed."`
	Modules     map[string]ModuleBinding  `json:"modules,omitempty" doc:"OpenTofu module that fulfils it, by cloud. None: Strata fulfils it with Kubernetes objects."`
	// Native says that compile fulfils the type itself, with Kubernetes objects.
	// Only built-in contracts can be native.
	Native bool `json:"native,omitempty" doc:"Fulfilled by Strata itself with Kubernetes objects (built-in types only)."`
}

// ContractOutput is one output of a contract.
type ContractOutput struct {
	Type        string `json:"type" doc:"OpenTofu type of the value, such as string, number or list(string)." rule:"required"`
	Kind        string `json:"kind,omitempty" doc:"value: shown and stored; secret: only ever a reference into the central secrets service." rule:"enum=value|secret;default=value"`
	Optional    bool   `json:"optional,omitempty" doc:"A module may give null, and an existing block may leave it out."`
	Description string `json:"description" doc:"What the value is." rule:"required"`
}

// Secret reports whether the output is a secret.
func (o ContractOutput) Secret() bool { return o.Kind == "secret" }

// ModuleBinding says which module fulfils a contract in one cloud and where its
// inputs come from.
type ModuleBinding struct {
	Source string `json:"source" doc:"Folder of the module, relative to the contract file." rule:"required"`
	// Inputs maps a module variable to where its value comes from:
	// "UNIT.OUTPUT" names an output of a platform contract ("network.vpc_id"),
	// "env.FIELD" a fact of the environment and "unit.FIELD" one of the unit
	// (package catalog lists both). Parameters are passed under their own
	// names in snake_case (catalog.VariableName).
	Inputs map[string]string `json:"inputs,omitempty" doc:"Module variables that are not parameters, and where each comes from: UNIT.OUTPUT of a platform contract such as network.vpc_id; env.FIELD with name, cloud, region, protected, account_id, platform, platform_domain, ingress_domain or secret_prefix; unit.FIELD with name, secret_path, team or workload."`
}
