// Package modules carries Strata's own OpenTofu modules, so that the program
// needs no download to plan with them. What belongs here is OpenTofu code in
// folders named <cloud>/<kind>; the contracts that they fulfil are package
// catalog's.
package modules

import "embed"

// FS holds the modules, by <cloud>/<kind>/<file>.
//
//go:embed all:aws all:local
var FS embed.FS
