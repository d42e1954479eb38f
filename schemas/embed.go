// Package schemas holds descriptions of formats that others define, trimmed to
// facts: names, types, bounds. It holds no prose of theirs, nothing that Strata
// generates, and no code that reads them.
package schemas

import "embed"

// ScoreV1B1 is the JSON Schema of the Score specification, version v1b1, without
// its descriptions. Tests hold Strata's own schema against it.
//
//go:embed score/score-v1b1.schema.json
var ScoreV1B1 []byte

// Providers holds, for each cloud, the trimmed schema of its provider (schema.json,
// written by `strata schema pull`) and the hand-written facts that no schema says
// (facts/*.yaml). helm, which installs charts in any cloud's clusters, has the same; its
// schema is hand-written.
//
//go:embed aws helm
var Providers embed.FS
