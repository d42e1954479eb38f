// Package images carries the recipes of the built-in images. It only carries the files;
// package image reads them and builds what they say.
package images

import "embed"

// FS holds a recipe a file: <name>.yaml.
//
//go:embed *.yaml
var FS embed.FS
