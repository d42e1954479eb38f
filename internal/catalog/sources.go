package catalog

// EnvFields are the facts of an environment that a module binding can name as
// "env.FIELD", with their OpenTofu types.
var EnvFields = map[string]string{
	"name":            "string",
	"cloud":           "string",
	"region":          "string",
	"protected":       "bool",
	"account_id":      "string",
	"platform":        "string", // name of the platform
	"platform_domain": "string",
	"ingress_domain":  "string",
	"secret_prefix":   "string", // prefix of all secret paths of the environment
}

// UnitFields are the facts of the unit that calls the module, named as
// "unit.FIELD", with their OpenTofu types.
var UnitFields = map[string]string{
	"name":        "string", // name for cloud resources, unique in the account
	"secret_path": "string", // where the unit's secret outputs are kept
	"team":        "string",
	"workload":    "string", // empty for a shared resource
}

// VariableName returns the name of the module variable that takes a parameter:
// the parameter's name in snake_case, so that highAvailability becomes
// high_availability.
func VariableName(param string) string {
	b := make([]byte, 0, len(param)+4)
	for i := range len(param) {
		ch := param[i]
		switch {
		case ch >= 'A' && ch <= 'Z':
			if i > 0 && !isUpper(param[i-1]) {
				b = append(b, '_')
			}
			b = append(b, ch+'a'-'A')
		case ch == '-' || ch == '.':
			b = append(b, '_')
		default:
			b = append(b, ch)
		}
	}
	return string(b)
}

func isUpper(ch byte) bool { return ch >= 'A' && ch <= 'Z' }
