// Package kube renders units to typed Kubernetes objects, in the order in
// which they must be applied: RenderPlatform what an environment has once,
// RenderTeam a team's namespace and what guards it, RenderWorkload a workload.
//
// It is pure: the same input gives the same objects. What the input means
// (merging overrides, resolving placeholders, choosing images) belongs to
// package compile, judging the objects to package policy, and applying them,
// with the values that are only known then, to the engine.
//
// Objects of one result share maps such as labels with each other; treat them
// as read-only, or copy them with DeepCopyObject.
//
// # Outputs of resources
//
// A value that is known only when another unit has been applied never appears
// in an object. Objects refer by name to what is written at apply time:
//
//   - the ConfigMap OutputsName holds the outputs that are no secrets, by
//     Output.Key; the engine writes it.
//   - the Secret SecretsName holds the secret outputs. Outside local
//     environments an ExternalSecret makes it from the central secrets
//     service; in local ones the engine writes it.
//   - files that mix text with outputs lie in the ConfigMap or Secret
//     FilesName; see Template.
//
// # Shape of a workload
//
// The pod keeps to the Pod Security Standards' profile "restricted" and runs
// as user 65532 on a read-only root file system with an empty /tmp.
//
// A Kubernetes probe has one handler: of a Score probe with both httpGet and
// exec, httpGet counts. A probe's host is sent as the Host header and the
// connection always goes to the pod, because a probe that connects elsewhere
// would use the node's access to the network.
//
// Score's "before" makes init containers: one that must be complete runs to
// its end before all others of the pod; one that must be started or healthy is
// a native sidecar. This is stronger than what Score asks for: containers that
// do not depend on it wait too. Probes of containers that run to their end are
// left out, as Kubernetes does not know them.
//
// Command and arguments are passed on as they are, so Kubernetes expands
// $(NAME) in them. In variables it is escaped and stays text.
package kube
