// Package model holds what a user describes: the platform, its environments,
// its workloads (Score files), their releases, the policy exceptions and the
// contracts of resource types, as plain Go types, and the validation that spans
// files. It knows nothing of YAML, of disks or of where a value stood: a
// diagnostic names a file and a path, and package manifest finds the place.
//
// Struct tags are the single source of what a field is: `json` names it, `doc`
// describes it, and `rule` bounds it (see package schema). The decoder, the
// published JSON Schemas and `strata explain` all read them.
package model
