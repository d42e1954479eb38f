package catalog

import "regexp"

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
	"acme":            "bool",   // whether certificates of routes are asked of an ACME service
	"istio":           "bool",   // whether Istio is the mesh
	"keda":            "bool",   // whether KEDA serves metrics to autoscalers
	"trust_domain":    "string", // of the workloads' identities
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

// reserved are names that no module variable can have: they mean something in
// every module call.
var reserved = map[string]bool{
	"source": true, "version": true, "providers": true, "count": true,
	"for_each": true, "depends_on": true, "lifecycle": true, "locals": true,
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// ValidName reports whether OpenTofu accepts name as the name of an output.
func ValidName(name string) bool { return identifier.MatchString(name) }

// ValidVariable reports whether OpenTofu accepts name as the name of a module's
// variable.
func ValidVariable(name string) bool { return ValidName(name) && !reserved[name] }

// VariableName returns the name of the module variable that takes a parameter of
// a type: the parameter's name in snake_case, so that highAvailability becomes
// high_availability. A name that OpenTofu reserves gets the type in front:
// version of postgres is passed as postgres_version.
func VariableName(typ, param string) string {
	name := snake(param)
	if reserved[name] {
		return snake(typ) + "_" + name
	}
	return name
}

func snake(s string) string {
	b := make([]byte, 0, len(s)+4)
	for i := range len(s) {
		ch := s[i]
		switch {
		case isUpper(ch):
			if i > 0 && !isUpper(s[i-1]) {
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
