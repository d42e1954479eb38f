package plan

import (
	"time"

	"github.com/stratahq/strata/internal/addr"
)

// Format is the version of the plan's own form. A plan of another format is
// refused rather than guessed at.
const Format = 1

// Plan is what carrying out an operation on an environment would change.
type Plan struct {
	Format int `json:"format"`
	// Version is the version of Strata that made the plan.
	Version     string    `json:"version"`
	Environment string    `json:"environment"`
	Operation   Operation `json:"operation"`
	// Offline plans were made against stand-ins and can only be applied to them.
	Offline bool      `json:"offline,omitempty"`
	Created time.Time `json:"created"`
	// Author is who made the plan: the e-mail address that git signs commits
	// with, or user@host.
	Author string `json:"author"`
	// Selection is what the plan was narrowed to, as flags: "--workload shop".
	Selection []string `json:"selection,omitempty"`
	Digests   Digests  `json:"digests"`
	// Approvals is what the environment asks of a plan before it is applied.
	Approvals Requirement `json:"approvals"`
	// Units are all selected units in the order in which they are applied.
	Units    []Unit    `json:"units"`
	Findings []Finding `json:"findings,omitempty"`
}

// Operation says what a plan does.
type Operation string

// The operations.
const (
	Apply   Operation = "apply"
	Destroy Operation = "destroy"
	Drift   Operation = "drift"
)

// Digests are SHA-256 sums, in hexadecimal, of what a plan was made from.
type Digests struct {
	// Model covers the platform, the environment and its compiled graph.
	Model string `json:"model"`
	// Modules covers the content of every module that the environment calls.
	Modules string `json:"modules"`
	// Policy covers all rules and their exceptions.
	Policy string `json:"policy"`
	// Findings covers what the rules said.
	Findings string `json:"findings"`
}

// Requirement is what an environment asks of a plan before it is applied.
type Requirement struct {
	// Required is the number of distinct people.
	Required int `json:"required"`
	// Groups are those an approver must belong to one of; empty means anybody
	// with a key.
	Groups []string `json:"groups,omitempty"`
	// NotAuthor refuses the plan's author.
	NotAuthor bool `json:"notAuthor,omitempty"`
}

// Unit is what would happen to one unit.
type Unit struct {
	Addr     addr.Unit `json:"address"`
	Layer    string    `json:"layer"`
	Kind     string    `json:"kind"`
	Contract string    `json:"contract,omitempty"`
	Workload string    `json:"workload,omitempty"`
	Team     string    `json:"team,omitempty"`
	Status   Status    `json:"status"`
	// Destroy says that the unit itself goes: everything in it is deleted, and
	// nothing of it stays on record.
	Destroy bool `json:"destroy,omitempty"`
	// Digest covers what the unit is rendered from, its module included.
	Digest string `json:"digest,omitempty"`
	// Inputs covers the values that flow in from other units; those that are
	// not known yet count as unknown.
	Inputs string `json:"inputs,omitempty"`
	// Provisional units depend on outputs that do not exist yet. They are
	// planned with unknowns, and again when the outputs are there.
	Provisional bool `json:"provisional,omitempty"`
	// Waits names the outputs that a provisional unit waits for, as UNIT.OUTPUT.
	Waits []string `json:"waits,omitempty"`
	// Saved is the digest of the runner's saved plan; empty for a provisional
	// unit and for one that needs none.
	Saved   string   `json:"saved,omitempty"`
	Counts  Counts   `json:"counts"`
	Changes []Change `json:"changes,omitempty"`
	// Outputs are changes of the unit's outputs.
	Outputs []Attribute `json:"outputs,omitempty"`
	// DependsOn lists the units that go before this one: those it needs when
	// it is applied, those that need it when it is destroyed.
	DependsOn []addr.Unit `json:"dependsOn,omitempty"`
	// Notes are things to know about the unit: an interrupted run, a unit that
	// left the model.
	Notes []string `json:"notes,omitempty"`
}

// Status says what is planned for a unit.
type Status string

// The statuses of a unit in a plan.
const (
	// Unchanged units are skipped: nothing that they are made of has changed.
	Unchanged Status = "unchanged"
	// Changes units have something to do.
	Changes Status = "changes"
	// Record units change no resource, but what is known of them is to be
	// written down: outputs, or a digest.
	Record Status = "record"
	// Existing units are somebody else's; only their outputs are used.
	Existing Status = "existing"
)

// Counts are numbers of resources by what happens to them. A replaced resource
// counts once, under Replace.
type Counts struct {
	Create  int `json:"create"`
	Update  int `json:"update"`
	Replace int `json:"replace"`
	Delete  int `json:"delete"`
	Import  int `json:"import,omitempty"`
	Forget  int `json:"forget,omitempty"`
	// Move counts resources that only get another address.
	Move int `json:"move,omitempty"`
}

// Add returns the sums of both.
func (c Counts) Add(o Counts) Counts {
	return Counts{
		Create: c.Create + o.Create, Update: c.Update + o.Update, Replace: c.Replace + o.Replace,
		Delete: c.Delete + o.Delete, Import: c.Import + o.Import, Forget: c.Forget + o.Forget, Move: c.Move + o.Move,
	}
}

// Zero reports whether nothing happens to any resource.
func (c Counts) Zero() bool { return c == Counts{} }

// Action is what happens to one resource.
type Action string

// The actions.
const (
	Create  Action = "create"
	Update  Action = "update"
	Replace Action = "replace"
	Delete  Action = "delete"
	Import  Action = "import"
	Forget  Action = "forget"
	Move    Action = "move"
)

// Change is what happens to one resource or object.
type Change struct {
	// Address is the resource's address within the unit's module
	// (aws_vpc.this, aws_subnet.data[0]), or KIND/NAMESPACE/NAME of an object.
	Address string `json:"address"`
	// Type is the resource's type, or the object's kind.
	Type   string `json:"type"`
	Action Action `json:"action"`
	// Reason says why, where it is not plain: "db_name cannot be changed in place".
	Reason     string      `json:"reason,omitempty"`
	Attributes []Attribute `json:"attributes,omitempty"`
}

// Attribute is one value that changes. Values are as JSON decodes them: nil,
// bool, json.Number or float64, string, []any, map[string]any. The value of a
// sensitive attribute is never here.
type Attribute struct {
	// Path is the attribute's path, as in HCL: ingress[0].cidr_blocks.
	Path   string `json:"path"`
	Before any    `json:"before,omitempty"`
	After  any    `json:"after,omitempty"`
	// Unknown values are known only after apply.
	Unknown   bool `json:"unknown,omitempty"`
	Sensitive bool `json:"sensitive,omitempty"`
	// Replaces says that the change of this attribute forces replacement.
	Replaces bool `json:"replaces,omitempty"`
}

// Finding is what a policy says about a plan, as people read it.
type Finding struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	// Denies says that the plan may not be applied.
	Denies bool      `json:"denies,omitempty"`
	Unit   addr.Unit `json:"unit,omitzero"`
	// Resource is the address within the unit, as Change has it.
	Resource string `json:"resource,omitempty"`
	Summary  string `json:"summary"`
	Detail   string `json:"detail,omitempty"`
	// File and Line are the user's text that it is about.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Excepted names who took the exception, and why.
	Excepted string `json:"excepted,omitempty"`
}

// Counts returns the sums over all units.
func (p *Plan) Counts() Counts {
	var c Counts
	for _, u := range p.Units {
		c = c.Add(u.Counts)
	}
	return c
}

// Empty reports whether carrying the plan out would do nothing at all.
func (p *Plan) Empty() bool {
	for _, u := range p.Units {
		if u.Status == Changes || u.Status == Record {
			return false
		}
	}
	return true
}

// Denied reports whether a policy forbids the plan.
func (p *Plan) Denied() bool {
	for _, f := range p.Findings {
		if f.Denies && f.Excepted == "" {
			return true
		}
	}
	return false
}

// Unit returns the plan of one unit.
func (p *Plan) Unit(a addr.Unit) (*Unit, bool) {
	for i := range p.Units {
		if p.Units[i].Addr == a {
			return &p.Units[i], true
		}
	}
	return nil, false
}
