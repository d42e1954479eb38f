package kube

import (
	"strings"
)

// role says how a container takes part in the start of its pod.
type role int

const (
	// runs is a container that nothing waits for.
	runs role = iota
	// starts and healthy are sidecars that others wait for.
	starts
	healthy
	// completes is a container that ends before the others start.
	completes
)

// ordered is a container and its role.
type ordered struct {
	Container
	role role
}

// order returns the containers in the order in which they must start. One that
// others wait for becomes an init container; Kubernetes starts these one by
// one before all others.
func (r *renderer) order() []ordered {
	byName := make(map[string]Container, len(r.w.Containers))
	for _, c := range r.w.Containers {
		byName[c.Name] = c
	}
	// before holds, for each container, those that must come before it. Names
	// come in order because containers do.
	before := map[string][]string{}
	for _, c := range r.w.Containers {
		for _, later := range sorted(c.Before) {
			if _, ok := byName[later]; !ok {
				r.errorf("container %q must come before %q, which does not exist", c.Name, later)
				continue
			}
			before[later] = append(before[later], c.Name)
		}
	}
	var (
		out   []ordered
		state = map[string]int{} // 1: being visited, 2: done
		visit func(name string, path []string)
	)
	visit = func(name string, path []string) {
		switch state[name] {
		case 1:
			r.errorf("containers wait for each other in a circle: %s", strings.Join(append(path, name), " after "))
			return
		case 2:
			return
		}
		state[name] = 1
		for _, earlier := range before[name] {
			visit(earlier, append(path, name))
		}
		state[name] = 2
		c := byName[name]
		out = append(out, ordered{c, r.role(c)})
	}
	for _, c := range r.w.Containers {
		visit(c.Name, nil)
	}
	return out
}

// role returns the strongest state that others wait for.
func (r *renderer) role(c Container) role {
	out := runs
	for _, later := range sorted(c.Before) {
		switch ready := c.Before[later].Ready; ready {
		case "started":
			out = max(out, starts)
		case "healthy":
			out = max(out, healthy)
		case "complete":
			out = completes
		default:
			r.errorf("container %q must be %q before %q: want started, healthy or complete", c.Name, ready, later)
		}
	}
	return out
}
