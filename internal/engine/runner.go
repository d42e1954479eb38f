package engine

import (
	"context"
	"encoding/json"
	"time"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/plan"
)

// Runner plans and applies units of one kind. Its methods are called
// concurrently, for different units.
type Runner interface {
	// Plan says what carrying the task out would change. It changes nothing.
	// What goes wrong with the unit is a *Failure.
	Plan(ctx context.Context, t Task) (*Planned, error)
	// Apply carries out the plan that Planned.Saved names. It returns what is
	// known of the unit afterwards, and with a *Failure what was done until
	// then. When ctx ends it lets what is under way come to a safe end first.
	Apply(ctx context.Context, t Task, saved string) (*Applied, error)
	// Recover looks after what a killed run of the unit left behind: it waits
	// for a process that is still at work and makes what was created known
	// again. It returns sentences that say what it did; none when there was
	// nothing to do.
	Recover(ctx context.Context, t Task) ([]string, error)
	// Done tells the runner that the unit's end is on record, so that nothing
	// of the run needs to be kept for Recover. gone says that the unit was
	// destroyed.
	Done(t Task, gone bool) error
}

// Task is one unit with everything that a runner needs to know about it.
type Task struct {
	Unit      graph.Unit
	Operation plan.Operation
	// Root is the rendered OpenTofu root of a tofu unit.
	Root []byte
	// Module is the digest of the content of the unit's module.
	Module string
	// Values are the variables of the root, or the outputs that the bindings
	// of a kube unit need (as UNIT.OUTPUT).
	Values map[string]any
	// Unknown names the variables that have no value yet.
	Unknown []string
	// Objects renders the objects of a kube unit.
	Objects func() ([]kube.Object, error)
	// Emit takes the runner's events; never nil.
	Emit func(Event)
}

// Provisional reports whether some of the task's inputs are unknown.
func (t Task) Provisional() bool { return len(t.Unknown) > 0 }

// Planned is what a runner says would change.
type Planned struct {
	Counts  plan.Counts
	Changes []plan.Change
	// Outputs are the changes of outputs.
	Outputs []plan.Attribute
	// Known are the outputs whose values are certain before anything is applied.
	Known map[string]json.RawMessage
	// JSON is what policies judge: the document of `tofu show -json`. It may
	// hold sensitive values and is never written anywhere.
	JSON []byte
	// Saved is the file of the saved plan; empty for a provisional task.
	Saved string
	// Idle says that nothing is left to do: applying would change neither a
	// resource nor an output.
	Idle bool
}

// Applied is what is known of a unit after it was applied.
type Applied struct {
	// Outputs are the unit's outputs; those that are secret are references.
	Outputs map[string]json.RawMessage
	// Changed lists the resources that were changed, in order.
	Changed []string
}

// Event is something that happens while units are planned or applied.
type Event struct {
	At   time.Time
	Type EventType
	Unit addr.Unit
	// Resource and Action say what a resource event is about.
	Resource string
	Action   string
	// Elapsed is how long it took, where something ended.
	Elapsed time.Duration
	// Text is for people: a note, an error.
	Text string
}

// EventType says what an event is about.
type EventType string

// The types of events.
const (
	PlanStarted      EventType = "plan-started"
	PlanFinished     EventType = "plan-finished"
	UnitStarted      EventType = "unit-started"
	UnitFinished     EventType = "unit-finished"
	UnitFailed       EventType = "unit-failed"
	UnitSkipped      EventType = "unit-skipped"
	ResourceStarted  EventType = "resource-started"
	ResourceFinished EventType = "resource-finished"
	ResourceFailed   EventType = "resource-failed"
	Note             EventType = "note"
	RunPaused        EventType = "run-paused"
)
