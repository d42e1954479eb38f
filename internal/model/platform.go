package model

// APIVersion is the version of Strata's own kinds.
const APIVersion = "strata/v1alpha1"

// The kinds of Strata's own documents.
const (
	KindPlatform    = "Platform"
	KindEnvironment = "Environment"
	KindRelease     = "Release"
	KindExceptions  = "Exceptions"
	KindContract    = "Contract"
)

// Source says where a document came from.
type Source struct {
	// File is the path relative to the repository, with forward slashes.
	File string
	// Digest is the SHA-256 of the file's bytes.
	Digest [32]byte
}

// Metadata names a document, as in Kubernetes.
type Metadata struct {
	Name        string            `json:"name" doc:"Name, unique among documents of its kind. A DNS label." rule:"required;pattern=dns-label"`
	Labels      map[string]string `json:"labels,omitempty" doc:"Free labels. They become tags of cloud resources and labels of Kubernetes objects."`
	Annotations map[string]string `json:"annotations,omitempty" doc:"Free text for people and tools. Strata copies it nowhere."`
}

// Platform describes the organisation: strata.yaml.
type Platform struct {
	APIVersion string       `json:"apiVersion" doc:"Version of this format." rule:"required;enum=strata/v1alpha1"`
	Kind       string       `json:"kind" doc:"Kind of this document." rule:"required;enum=Platform"`
	Metadata   Metadata     `json:"metadata" doc:"Names the platform." rule:"required"`
	Spec       PlatformSpec `json:"spec" doc:"The organisation." rule:"required"`
	Source     Source       `json:"-"`
}

// PlatformSpec is the body of a Platform.
type PlatformSpec struct {
	Domain   string            `json:"domain" doc:"DNS domain of the organisation. Workload identities and default host names are below it." rule:"required;pattern=dns-name"`
	Registry string            `json:"registry,omitempty" doc:"OCI registry and path that platform-built images are pushed to, such as registry.acme.example/apps. Images from elsewhere are refused outside local environments, except those in spec.trustedRegistries." rule:"pattern=registry"`
	Trusted  []string          `json:"trustedRegistries,omitempty" doc:"Further registries, or registry/path prefixes, that images may come from."`
	People   map[string]Person `json:"people,omitempty" doc:"Who may sign approvals, by e-mail address."`
	Teams    map[string]Team   `json:"teams" doc:"Teams by name. Each has a namespace of its name in every environment that runs one of its workloads." rule:"required;keypattern=dns-label"`
	Identity *Identity         `json:"identity,omitempty" doc:"The OpenID Connect provider that people and pipelines sign in with."`
	Access   []AccessRule      `json:"access,omitempty" doc:"Who may do what, by group of the identity provider. Becomes Kubernetes RBAC."`
	Tags     map[string]string `json:"tags,omitempty" doc:"Tags (labels) for every cloud resource of every environment."`
}

// Person is somebody who may sign approvals.
type Person struct {
	Keys   []string `json:"keys" doc:"SSH public keys in authorized_keys form; approvals are verified against them." rule:"required;minitems=1;pattern=ssh-key"`
	Groups []string `json:"groups,omitempty" doc:"Groups of the identity provider that the person is in, as far as approvals need them."`
}

// Team owns workloads.
type Team struct {
	Contact string     `json:"contact" doc:"Where to reach the team: an e-mail address or a channel." rule:"required"`
	Groups  []string   `json:"groups,omitempty" doc:"Groups of the identity provider whose members are the team."`
	Quota   *TeamQuota `json:"quota,omitempty" doc:"What the team's namespace may request in total, in each environment. Without it a generous default applies."`
}

// TeamQuota bounds a namespace.
type TeamQuota struct {
	CPU    string `json:"cpu,omitempty" doc:"Sum of CPU requests, a Kubernetes quantity such as 20 or 500m." rule:"pattern=quantity;default=100"`
	Memory string `json:"memory,omitempty" doc:"Sum of memory requests, a Kubernetes quantity such as 64Gi." rule:"pattern=quantity;default=400Gi"`
	Pods   int    `json:"pods,omitempty" doc:"Number of pods." rule:"min=1;max=100000;default=500"`
}

// Identity is an OpenID Connect provider.
type Identity struct {
	Issuer      string `json:"issuer" doc:"Issuer URL; its discovery document is at /.well-known/openid-configuration." rule:"required;pattern=https-url"`
	ClientID    string `json:"clientID" doc:"Client identifier registered for Strata." rule:"required"`
	GroupsClaim string `json:"groupsClaim,omitempty" doc:"Claim that lists a person's groups." rule:"default=groups"`
}

// AccessRule grants a role to groups.
type AccessRule struct {
	Groups       []string `json:"groups" doc:"Groups of the identity provider." rule:"required;minitems=1"`
	Role         string   `json:"role" doc:"admin: everything; operator: see and operate workloads (restart, scale, logs, exec), no secrets; viewer: see all but secrets." rule:"required;enum=admin|operator|viewer"`
	Teams        []string `json:"teams,omitempty" doc:"Only these teams' namespaces. Empty means all."`
	Environments []string `json:"environments,omitempty" doc:"Only these environments. Empty means all."`
}
