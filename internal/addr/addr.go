// Package addr holds the immutable addresses by which Strata names things:
// environments, units, shared resources and Kubernetes objects. An address is a
// comparable value, so it can be a map key, and its String form is what users
// see and type. Nothing here reads files or knows what an address points at.
package addr

import (
	"fmt"
	"strings"
)

// Unit is the address of the smallest thing that is planned and applied.
// Name is a slash-separated path that starts with the unit's family: "account",
// "state", "network", "cluster", "registry", "platform/...", "teams/...",
// "shared/...", "workloads/...".
type Unit struct {
	// Env is the environment's name.
	Env string
	// Name is the unit's path within its environment.
	Name string
}

// Foundation returns the address of a unit that exists once in an environment,
// below the cluster or beside it, such as "network".
func Foundation(env, kind string) Unit { return Unit{env, kind} }

// Platform returns the address of an environment-wide unit that lives in the
// cluster or serves it, such as "platform/secrets".
func Platform(env, kind string) Unit { return Unit{env, "platform/" + kind} }

// Team returns the address of the unit that holds a team's namespace.
func Team(env, team string) Unit { return Unit{env, "teams/" + team} }

// Workload returns the address of a workload's Kubernetes objects.
func Workload(env, workload string) Unit { return Unit{env, "workloads/" + workload} }

// WorkloadResource returns the address of a resource that one workload owns.
// name is the key under "resources" in the workload's Score file.
func WorkloadResource(env, workload, name string) Unit {
	return Unit{env, "workloads/" + workload + "/" + name}
}

// SharedResource returns the address of a resource that workloads share because
// they name the same type, class and id.
func SharedResource(env string, r Resource) Unit {
	return Unit{env, "shared/" + r.Type + "/" + r.Class + "/" + r.ID}
}

// String returns "env/name", the form that ParseUnit reads.
func (u Unit) String() string { return u.Env + "/" + u.Name }

// Compare orders units by environment, then name. It returns -1, 0 or +1.
func (u Unit) Compare(v Unit) int {
	if c := strings.Compare(u.Env, v.Env); c != 0 {
		return c
	}
	return strings.Compare(u.Name, v.Name)
}

// MarshalText writes the String form, so that a Unit can be a JSON string or
// the key of a JSON object.
func (u Unit) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText reads the String form; it returns ParseUnit's error.
func (u *Unit) UnmarshalText(b []byte) error {
	v, err := ParseUnit(string(b))
	if err != nil {
		return err
	}
	*u = v
	return nil
}

// ParseUnit reads "env/name". It returns an error when a segment is empty or
// holds a character that no address may have.
func ParseUnit(s string) (Unit, error) {
	env, name, ok := strings.Cut(s, "/")
	if !ok {
		return Unit{}, fmt.Errorf("unit address %q: want ENVIRONMENT/NAME, such as prod/network", s)
	}
	for seg := range strings.SplitSeq(s, "/") {
		if seg == "" || strings.HasPrefix(seg, ".") || strings.ContainsFunc(seg, invalidRune) {
			return Unit{}, fmt.Errorf("unit address %q: segment %q is not a name of letters, digits, '-' and '.'", s, seg)
		}
	}
	return Unit{env, name}, nil
}

func invalidRune(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_':
		return false
	}
	return true
}

// Resource is the identity of a shared resource: Score says that workloads
// which name the same type, class and id mean the same resource.
type Resource struct {
	Type, Class, ID string
}

// String returns "type.class#id".
func (r Resource) String() string { return r.Type + "." + r.Class + "#" + r.ID }

// Object is the address of one Kubernetes object within its unit.
type Object struct {
	Unit            Unit
	Kind            string
	Namespace, Name string
}

// String returns "env/unit Kind/namespace/name", without the namespace for
// cluster-wide objects.
func (o Object) String() string {
	if o.Namespace == "" {
		return o.Unit.String() + " " + o.Kind + "/" + o.Name
	}
	return o.Unit.String() + " " + o.Kind + "/" + o.Namespace + "/" + o.Name
}
