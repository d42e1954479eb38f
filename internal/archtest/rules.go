package archtest

// Repository is what this repository holds itself to. docs/architecture.md says why
// the layers are what they are.
var Repository = Rules{
	Module: "github.com/stratahq/strata",
	Layers: [][]string{
		// Leaves, and data that is compiled in.
		{"internal/addr", "internal/term", "internal/suggest", "internal/par", "internal/keypair", "schemas", "modules", "policies", "images", "internal/proxy/config", "internal/proxy/proxytest", "internal/freeport", "internal/needs", "internal/gateway/routepolicy", "internal/gateway/definitions"},
		{"internal/diag", "internal/output", "internal/cluster/..."},
		{"internal/schema", "internal/model"},
		{"internal/manifest", "internal/catalog", "internal/graph", "internal/plan", "internal/explain", "internal/scaffold", "internal/yamlout"},
		{"internal/compile/kube", "internal/compile/stack"},
		// Side by side: neither knows of the other. policy reads plans; plan, below, knows
		// nothing of policy.
		{"internal/compile", "internal/policy"},
		{"internal/check", "internal/store", "internal/tfmodule"},
		{"internal/engine", "internal/store/..."},
		{"internal/node", "internal/image", "internal/proxy", "internal/proxy/balance", "internal/proxy/gateway/feed", "internal/proxy/gateway/reqpath", "internal/proxy/gateway/token", "internal/identity", "internal/webca", "internal/scaling"},
		{"internal/gateway/translate"},
		{"internal/gateway/deploy"},
		{"internal/proxy/sidecar", "internal/proxy/gateway", "internal/gateway"},
		{"internal/runner/...", "internal/provider/..."},
		{"internal/status"},
		{"internal/cli/view"},
		{"internal/cli"},
		// Nothing imports what is here.
		{"cmd/...", "internal/archtest", "internal/bench", "internal/e2e"},
	},
	Only: map[string][]string{
		"internal/addr":     {},
		"internal/diag":     {"internal/term"},
		"internal/schema":   {"internal/addr", "internal/diag"},
		"internal/model":    {"internal/addr", "internal/diag", "internal/par", "internal/suggest", "internal/proxy/config"},
		"internal/plan":     {"internal/addr", "internal/diag", "internal/model"},
		"internal/archtest": {},
		"cmd/strata":        {"internal/cli"},
		"internal/output":   {"internal/par"},
		"internal/yamlout":  {},
		// The data plane is small: it knows nothing of the rest.
		"internal/proxy/config":          {},
		"internal/proxy/proxytest":       {},
		"internal/freeport":              {},
		"internal/needs":                 {},
		"internal/proxy/balance":         {},
		"internal/proxy":                 {"internal/proxy/config"},
		"internal/proxy/sidecar":         {"internal/proxy", "internal/proxy/balance", "internal/proxy/config"},
		"internal/proxy/gateway":         {"internal/proxy/..."},
		"internal/proxy/gateway/reqpath": {},
		"internal/proxy/gateway/token":   {"internal/proxy/config"},
		"internal/proxy/gateway/feed":    {"internal/proxy/config"},
	},
	Concurrent: []string{
		"internal/par", "internal/engine", "internal/store/storetest", "internal/cluster/...", "internal/runner/...", "internal/provider/...", "internal/node",
		"internal/proxy/...", "internal/gateway", "internal/scaling", "internal/image", "internal/identity", "internal/webca", "internal/server", "internal/cli", "internal/bench", "cmd/...",
	},
	Exits:    []string{"cmd/...", "internal/bench"},
	MaxLines: 500,
}
