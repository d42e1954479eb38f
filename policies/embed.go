// Package policies holds the built-in Rego rules and their unit tests. It only
// carries the files; package policy loads and evaluates them.
package policies

import "embed"

// FS holds the rules by layer of judgement: model, objects and plan, and lib,
// which they share.
//
//go:embed lib model objects plan
var FS embed.FS
