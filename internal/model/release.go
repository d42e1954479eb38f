package model

// Release lists the images that run in an environment: releases/<env>.yaml.
// Promotion edits this file and nothing else. A workload runs in a cloud
// environment when the environment's release lists it; in a local environment
// every workload runs, from images built on the spot.
type Release struct {
	APIVersion string      `json:"apiVersion" doc:"Version of this format." rule:"required;enum=strata/v1alpha1"`
	Kind       string      `json:"kind" doc:"Kind of this document." rule:"required;enum=Release"`
	Metadata   Metadata    `json:"metadata" doc:"Names the environment that the release is for." rule:"required"`
	Spec       ReleaseSpec `json:"spec" doc:"The release." rule:"required"`
	Source     Source      `json:"-"`
}

// ReleaseSpec is the body of a Release.
type ReleaseSpec struct {
	Workloads map[string]WorkloadRelease `json:"workloads" doc:"Workloads that run in the environment, by name." rule:"required;keypattern=dns-label"`
	Platform  *PlatformRelease           `json:"platform,omitempty" doc:"Images of the platform's own programs. Required in clouds where Strata's mesh or gateway is used."`
}

// PlatformRelease pins the images of the platform's own programs.
type PlatformRelease struct {
	Proxy   string `json:"proxy" doc:"Image of the proxies: sidecars and gateways (strata image push proxy ...)." rule:"required;pattern=image-ref"`
	Control string `json:"control" doc:"Image of the control plane: identities, gateways and metrics (strata image push control ...)." rule:"required;pattern=image-ref"`
}

// WorkloadRelease pins a workload's images.
type WorkloadRelease struct {
	Images map[string]string `json:"images,omitempty" doc:"Image of each container, by container name, each with its digest: registry/name@sha256:... Containers whose Score file names an image with a digest need no entry." rule:"pattern=image-ref"`
}

// Exceptions lists accepted findings: policies/exceptions.yaml.
type Exceptions struct {
	APIVersion string         `json:"apiVersion" doc:"Version of this format." rule:"required;enum=strata/v1alpha1"`
	Kind       string         `json:"kind" doc:"Kind of this document." rule:"required;enum=Exceptions"`
	Metadata   Metadata       `json:"metadata,omitzero" doc:"Names the list."`
	Spec       ExceptionsSpec `json:"spec" doc:"The exceptions." rule:"required"`
	Source     Source         `json:"-"`
}

// ExceptionsSpec is the body of Exceptions.
type ExceptionsSpec struct {
	Exceptions []Exception `json:"exceptions" doc:"Accepted findings." rule:"required"`
}

// Exception accepts the findings of one rule about some addresses.
type Exception struct {
	Rule         string   `json:"rule" doc:"Identifier of the policy rule (strata policy ls)." rule:"required"`
	Address      string   `json:"address" doc:"Address of what is accepted, as the finding prints it without the environment; * stands for any run of characters." rule:"required"`
	Environments []string `json:"environments,omitempty" doc:"Only in these environments. Empty means all."`
	Reason       string   `json:"reason" doc:"Why this is acceptable." rule:"required;minlength=10"`
	Owner        string   `json:"owner" doc:"Who answers for it: a team or an e-mail address." rule:"required"`
	Expires      string   `json:"expires" doc:"Last day on which it holds, as YYYY-MM-DD." rule:"required;pattern=date"`
}
