// Package definitions holds the CustomResourceDefinitions that gateways need, as YAML: those
// of the Gateway API's standard channel that the controller watches, and RoutePolicy. They
// are the same in every cluster; who applies them is not decided here.
package definitions

import (
	"embed"
	"io/fs"
)

//go:generate sh -c "cd ../../.. && go run tools/gatewayapi/main.go"

//go:embed *.yaml
var files embed.FS

// Files returns the files, each of which is a stream of YAML documents. They have to be
// applied before any object of their kinds.
func Files() fs.FS { return files }
