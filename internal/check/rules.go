package check

import (
	"slices"

	"github.com/stratahq/strata/internal/catalog"
	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/manifest"
	"github.com/stratahq/strata/internal/model"
)

// Rules lists every validation rule with what it is about, for reports in
// SARIF and for the documentation.
var Rules = []diag.RuleInfo{
	{ID: manifest.RuleSyntax, Summary: "A file is valid YAML"},
	{ID: manifest.RuleUnknownField, Summary: "Every field is known"},
	{ID: manifest.RuleWrongType, Summary: "Every value has its field's type"},
	{ID: manifest.RuleMissingField, Summary: "Required fields are there"},
	{ID: manifest.RuleDuplicateKey, Summary: "A mapping has each key once"},
	{ID: manifest.RuleMultipleDocs, Summary: "A file holds one document"},
	{ID: manifest.RuleInvalidValue, Summary: "Every value is within its field's bounds"},
	{ID: manifest.RuleAliasBomb, Summary: "Aliases do not expand without bound"},
	{ID: manifest.RuleFileTooLarge, Summary: "Files have a sensible size"},
	{ID: manifest.RuleUnsafePath, Summary: "Nothing outside the repository is read"},
	{ID: manifest.RuleMissingFile, Summary: "Files that are named are there"},
	{ID: manifest.RuleMissingSource, Summary: "File sources are there"},
	{ID: manifest.RuleUnreadable, Summary: "Files can be read"},
	{ID: manifest.RuleNameMismatch, Summary: "Documents are called what their files are called"},
	{ID: manifest.RuleIgnoredFile, Summary: "No file is ignored by accident"},
	{ID: manifest.RuleMissingModule, Summary: "Modules that contracts name are there"},
	{ID: model.RuleDuplicateName, Summary: "Names are unique"},
	{ID: model.RuleReservedName, Summary: "Reserved names are left alone"},
	{ID: model.RuleUnknownTeam, Summary: "Teams that are named exist"},
	{ID: model.RuleUnknownEnv, Summary: "Environments that are named exist"},
	{ID: model.RuleUnknownWorkload, Summary: "Workloads that are named exist"},
	{ID: model.RuleUnknownContainer, Summary: "Containers that are named exist"},
	{ID: model.RuleUnknownType, Summary: "Resource types are known"},
	{ID: model.RuleUnknownClass, Summary: "Classes are known to their type"},
	{ID: model.RuleUnknownResource, Summary: "Resources that are named exist"},
	{ID: model.RuleUnknownOutput, Summary: "Outputs that are named are in the contract"},
	{ID: model.RuleUnknownPort, Summary: "Ports that are named exist"},
	{ID: model.RulePlaceholder, Summary: "Placeholders mean something"},
	{ID: model.RuleNotExpanded, Summary: "Placeholders stand where they are expanded"},
	{ID: model.RuleSecretExposed, Summary: "Secrets stand only where nobody can read them"},
	{ID: model.RuleInvalidParams, Summary: "Parameters fit their contract"},
	{ID: model.RuleInvalidExisting, Summary: "What exists already gives its contract's outputs"},
	{ID: model.RuleIncompleteEnv, Summary: "An environment in a cloud is complete"},
	{ID: model.RuleInvalidAccount, Summary: "Accounts are named in one way, rightly"},
	{ID: model.RuleSharedAccount, Summary: "Environments do not share an account unawares"},
	{ID: model.RuleInvalidCIDR, Summary: "Network ranges are ranges"},
	{ID: model.RuleNetworkOverlap, Summary: "Networks of one cloud do not overlap"},
	{ID: model.RulePromotionCycle, Summary: "Promotion goes one way"},
	{ID: model.RuleApprovals, Summary: "Required approvals can be given"},
	{ID: model.RuleStateBackend, Summary: "State is kept where it fits"},
	{ID: model.RuleScalingBounds, Summary: "At least is not more than at most"},
	{ID: model.RuleNoModule, Summary: "Resource types can be fulfilled in the cloud"},
	{ID: model.RuleNoIngress, Summary: "Routes have an entry"},
	{ID: model.RuleNoAccelerator, Summary: "Accelerators that are asked for exist"},
	{ID: model.RuleNotReleased, Summary: "Called workloads run in the environment"},
	{ID: model.RuleImageNotPinned, Summary: "Images are named by digest outside local"},
	{ID: model.RuleUntrusted, Summary: "Images come from trusted registries"},
	{ID: model.RuleResourceConflict, Summary: "Shared resources have one set of parameters"},
	{ID: model.RuleRouteConflict, Summary: "Routes are unique"},
	{ID: model.RulePortConflict, Summary: "Ports are unique"},
	{ID: model.RuleScheduleConflict, Summary: "Scheduled workloads only run and end"},
	{ID: model.RuleVolumeSource, Summary: "Mounted volumes are volumes"},
	{ID: model.RuleVolumeScaling, Summary: "Volumes of scaled workloads can be shared"},
	{ID: model.RuleProbe, Summary: "Probes probe something"},
	{ID: model.RuleFileContent, Summary: "Files have one content and an absolute path"},
	{ID: model.RuleBeforeCycle, Summary: "Containers do not wait for each other"},
	{ID: model.RuleLimits, Summary: "Limits are not below requests"},
	{ID: model.RuleNoRelease, Summary: "An environment in a cloud has a release"},
	{ID: model.RuleNoPlatformImage, Summary: "A release in a cloud names the images of the mesh and the gateway"},
	{ID: model.RuleMeshVersion, Summary: "Clusters give pods the certificates that the mesh needs"},
	{ID: model.RuleMeshGateway, Summary: "Gateways have an identity that the mesh knows"},
	{ID: model.RuleRouteGateway, Summary: "Gateways can do what routes ask of them"},
	{ID: model.RuleReservedPort, Summary: "Ports of the mesh are left alone"},
	{ID: model.RuleInvalidDate, Summary: "Dates are days of the calendar"},
	{ID: catalog.RuleDuplicate, Summary: "Contracts have a name of their own"},
	{ID: catalog.RuleSchema, Summary: "A contract's parameters are a JSON Schema of an object"},
	{ID: catalog.RuleNative, Summary: "Only built-in contracts are native"},
	{ID: catalog.RuleModule, Summary: "A contract names modules within the repository"},
	{ID: catalog.RuleInput, Summary: "A module's inputs come from something that exists"},
	{ID: RuleInexpressible, Summary: "Workloads can be expressed in Kubernetes"},
	{ID: "policy-syntax", Summary: "Policies are Rego"},
	{ID: "policy-compile", Summary: "Policies compile, and reach nothing but their input"},
	{ID: "policy-package", Summary: "Policies are in a package that is evaluated"},
	{ID: "policy-rule", Summary: "deny and warn are sets"},
	{ID: "policy-metadata", Summary: "A rule's metadata is complete and right"},
	{ID: "policy-duplicate", Summary: "A rule's identifier is its own"},
	{ID: catalog.RuleOutput, Summary: "A contract's outputs have a name and an OpenTofu type"},
}

// RuleIDs returns the identifiers of all validation rules, sorted.
func RuleIDs() []string {
	var out []string
	for _, r := range Rules {
		out = append(out, r.ID)
	}
	slices.Sort(out)
	return out
}
