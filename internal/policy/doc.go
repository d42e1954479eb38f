// Package policy judges what Strata compiles and what OpenTofu plans: it runs
// Rego rules (built in, and the user's own) over the model, over Kubernetes
// objects and over OpenTofu plans, and returns findings. It also applies the
// exceptions that a platform team has accepted, decodes foreign files that are
// to be judged, and runs the rules' own unit tests.
//
// What does not belong here: reading the repository (package manifest), making
// the objects and plans that are judged (compile, engine), deciding what a
// finding stops (engine) and showing findings to people (cli). The rules
// themselves live in the top-level folder policies.
//
// A Set is immutable once loaded and safe for concurrent use; nothing here
// starts a goroutine, so callers choose their own parallelism.
package policy
