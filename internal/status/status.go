// Package status says how an environment is: it puts together what the description
// wants, what is on record of applies, and what the cluster has. It changes nothing.
// How that is shown is for cli/view.
package status

import (
	"slices"
	"time"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
)

// State is how a unit is.
type State string

// The states of units.
const (
	// Ready units are as they were applied, and do what they are for.
	Ready State = "ready"
	// NotReady units are there, but something of them is not ready, yet or any more.
	NotReady State = "not-ready"
	// Failed units will not become ready by themselves.
	Failed State = "failed"
	// Partial units were being applied when that was last heard of.
	Partial State = "partial"
	// NotApplied units are in the description only.
	NotApplied State = "not-applied"
	// Left units are on record, but not in the description any more.
	Left State = "left"
	// Existing units were there before Strata, which does not ask them.
	Existing State = "existing"
	// Unknown is how applied units are whose cluster cannot be asked.
	Unknown State = "unknown"
)

// Well reports whether nothing needs to be done about a unit in that state.
func (s State) Well() bool { return s == Ready || s == Existing }

// Environment is how an environment is.
type Environment struct {
	Name     string `json:"environment"`
	Platform string `json:"platform"`
	Cloud    string `json:"cloud"`
	// Cluster says how the cluster is.
	Cluster Cluster `json:"cluster"`
	// Units are in the order of the description's addresses.
	Units  []Unit  `json:"units"`
	Routes []Route `json:"routes,omitempty"`
}

// Access says whether a cluster can be asked.
type Access string

// Whether a cluster can be asked, and if not, why.
const (
	Running     Access = "running"
	Stopped     Access = "stopped"
	Absent      Access = "absent"
	Unreachable Access = "unreachable"
)

// Cluster is the cluster of an environment.
type Cluster struct {
	Access Access `json:"access"`
	// Problem says why an unreachable cluster cannot be asked.
	Problem string `json:"problem,omitempty"`
	// Node is the name of the node on this machine, Since when it became ready.
	Node  string    `json:"node,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// Version is that of the API server, Server its URL.
	Version string `json:"version,omitempty"`
	Server  string `json:"server,omitempty"`
	// HTTP and HTTPS are the ports of this machine at which routes are served; without TLS
	// there is no HTTPS.
	HTTP  int `json:"http,omitempty"`
	HTTPS int `json:"https,omitempty"`
}

// Unit is how a unit is.
type Unit struct {
	Addr     addr.Unit   `json:"address"`
	Layer    model.Layer `json:"layer"`
	Kind     graph.Kind  `json:"kind"`
	Contract string      `json:"contract,omitempty"`
	State    State       `json:"state"`
	// Changed says that its description is not what was applied.
	Changed bool      `json:"changed,omitempty"`
	Applied time.Time `json:"applied,omitzero"`
	// Pods and Wanted are how many pods are ready, and how many there should be.
	Pods   int `json:"pods"`
	Wanted int `json:"wanted"`
	// Restarts are those of the pods' containers, Restarted is the time of the last.
	Restarts  int       `json:"restarts,omitempty"`
	Restarted time.Time `json:"restarted,omitzero"`
	// Since is when what runs was started.
	Since time.Time `json:"since,omitzero"`
	// Schedule is that of a unit that runs at times, LastRun when it last did.
	Schedule string    `json:"schedule,omitempty"`
	LastRun  time.Time `json:"lastRun,omitzero"`
	// Why says what is wrong, a line each; a line that goes on with the one before is
	// indented.
	Why     []string `json:"why,omitempty"`
	Objects []Object `json:"objects,omitempty"`
}

// Object is how an object of a unit is.
type Object struct {
	Kind      string    `json:"kind"`
	Namespace string    `json:"namespace,omitempty"`
	Name      string    `json:"name"`
	Ready     bool      `json:"ready"`
	Created   time.Time `json:"created,omitzero"`
	// Reason says why it is not ready.
	Reason string `json:"reason,omitempty"`
	// Pod says more of a pod.
	Pod *Pod `json:"pod,omitempty"`
}

// Pod is what is particular about pods.
type Pod struct {
	Phase    string `json:"phase"`
	Restarts int    `json:"restarts"`
}

// Route is where people reach a workload.
type Route struct {
	URL  string    `json:"url"`
	Unit addr.Unit `json:"unit"`
	// Ready says that the unit behind it is.
	Ready bool `json:"ready"`
}

// Count returns how many units there are in a state.
func (e *Environment) Count(s State) int {
	n := 0
	for _, u := range e.Units {
		if u.State == s {
			n++
		}
	}
	return n
}

// Changed returns how many applied units have another description now.
func (e *Environment) Changed() int {
	n := 0
	for _, u := range e.Units {
		if u.Changed {
			n++
		}
	}
	return n
}

// Well reports whether everything is ready.
func (e *Environment) Well() bool {
	return e.Cluster.Access == Running && !slices.ContainsFunc(e.Units, func(u Unit) bool { return !u.State.Well() })
}

// podObject says how a pod is.
func podObject(p *podState) Object {
	o := Object{
		Kind: "Pod", Namespace: p.Namespace, Name: p.Name, Created: p.CreationTimestamp.Time, Ready: cluster.PodReady(p.Pod),
		Pod: &Pod{Phase: string(p.Status.Phase), Restarts: p.restarts},
	}
	switch {
	case p.DeletionTimestamp != nil:
		o.Reason = "it is ending"
	case p.Status.Phase == "Succeeded":
		o.Ready = true
	case !o.Ready:
		o.Reason, _ = cluster.Trouble(p.Pod)
	}
	return o
}
