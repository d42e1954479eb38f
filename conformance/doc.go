// Package conformance runs the conformance suite of the Gateway API against gateways of
// ours: in a local node of its own, with the control plane and the proxy as they are built.
// It is a module of its own, so that the suite's dependencies stay out of the main one. Run
// it by `make conformance`; docs/conformance.md says what it needs and writes.
package conformance
