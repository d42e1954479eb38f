package kube

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Names that other packages must agree on.
const (
	// GatewayNamespace holds the environment's Gateways.
	GatewayNamespace = "strata-gateway"
	// DataNamespace holds the databases of local environments.
	DataNamespace = "strata-data"
	// SecretStore is the ClusterSecretStore that reads the central secrets service.
	SecretStore = "strata"
	// LabelTeam labels everything that belongs to a team.
	LabelTeam = "strata.dev/team"
	// LabelEnvironment labels every object.
	LabelEnvironment = "strata.dev/environment"
	// LabelAccelerator labels nodes with the model of their accelerators, and
	// is the key of these nodes' taint.
	LabelAccelerator = "strata.dev/accelerator"
	// LabelPlatform labels every object with its platform.
	LabelPlatform = labelPartOf
	// AnnotationImages names images, joined by commas, that an object's pods make others
	// run: whoever brings images to the cluster brings these, too.
	AnnotationImages = "strata.dev/images"
	// AnnotationUnit holds the address of an object's unit.
	AnnotationUnit = "strata.dev/unit"
)

const (
	labelName      = "app.kubernetes.io/name"
	labelInstance  = "app.kubernetes.io/instance"
	labelPartOf    = "app.kubernetes.io/part-of"
	labelManagedBy = "app.kubernetes.io/managed-by"
	labelComponent = "app.kubernetes.io/component"
	labelNamespace = "kubernetes.io/metadata.name"
)

// OutputsName is the ConfigMap with the outputs that a workload uses and that
// are no secrets. Keys are Output.Key.
func OutputsName(workload string) string { return workload + "-outputs" }

// SecretsName is the Secret with the secret outputs that a workload uses.
// Keys are Output.Key.
func SecretsName(workload string) string { return workload + "-secrets" }

// FilesName is the ConfigMap with a workload's files that mix text with
// outputs, and the Secret with those of them that embed a secret.
func FilesName(workload string) string { return workload + "-files" }

// TemplatesName is the ConfigMap with the templates of files that embed
// secrets and other outputs.
func TemplatesName(workload string) string { return workload + "-templates" }

// fit returns s if it has at most n bytes, else its beginning and a hash that
// keeps it unique.
func fit(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.TrimRight(s[:n-9], "-._") + "-" + hash(s)
}

// hash returns eight characters that identify the parts.
func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))[:8]
}
