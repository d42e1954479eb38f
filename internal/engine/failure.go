package engine

import (
	"fmt"
	"strings"

	"github.com/stratahq/strata/internal/addr"
)

// Failure is what went wrong with one unit, told so that people know where they
// stand: what failed, what was changed until then, and what to do next.
type Failure struct {
	Unit addr.Unit
	// Stage is what was being done: "init", "plan", "apply", ...
	Stage string
	// Cause is a word for what kind of failure it is.
	Cause Cause
	// Problems are what the engine below said, most important first.
	Problems []Problem
	// Changed lists the resources that were changed before it failed.
	Changed []string
	// Open lists resources that were being changed: what became of them is not
	// known.
	Open []string
	// Next is what to do, as a sentence or a command.
	Next string
	// Err is the error behind it, if there is one.
	Err error
}

// Cause is the kind of a failure.
type Cause string

// The causes of failures.
const (
	CauseOther       Cause = "other"
	CauseConfig      Cause = "configuration" // a module that does not parse, an unknown resource type
	CauseCredentials Cause = "credentials"   // missing, expired, of another account
	CauseAccount     Cause = "account"       // the provider is in another account than the environment
	CauseQuota       Cause = "quota"
	CauseBackend     Cause = "backend"  // state cannot be reached
	CauseLocked      Cause = "locked"   // state is locked
	CauseProvider    Cause = "provider" // a provider crashed
	CauseTimeout     Cause = "timeout"
	CauseKilled      Cause = "killed"
	CauseConflict    Cause = "conflict" // something of that name is there already
	CauseDisk        Cause = "disk"
	CauseStale       Cause = "stale" // state changed after the plan was made
	CauseCancelled   Cause = "cancelled"
	CausePolicy      Cause = "policy"
	CauseExceeds     Cause = "exceeds" // the plan does more than what was approved
	CauseInput       Cause = "input"
)

// Problem is one thing that was said about a failure.
type Problem struct {
	Summary string `json:"summary"`
	Detail  string `json:"detail,omitempty"`
	// Resource is the address within the unit.
	Resource string `json:"resource,omitempty"`
	// File and Line are where in the user's text it comes from.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// Error says it in one line; view.Failure says all of it.
func (f *Failure) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s failed", f.Unit, f.Stage)
	if len(f.Problems) > 0 {
		b.WriteString(": " + f.Problems[0].Summary)
		if f.Problems[0].Resource != "" {
			b.WriteString(" (" + f.Problems[0].Resource + ")")
		}
	} else if f.Err != nil {
		b.WriteString(": " + f.Err.Error())
	}
	return b.String()
}

// record is what is kept of the failure. The words of providers stay out, because
// nobody knows what they quote.
func (f *Failure) record() string {
	return fmt.Sprintf("%s: %s failed (%s)", f.Unit, f.Stage, f.Cause)
}

// Unwrap returns the error behind the failure.
func (f *Failure) Unwrap() error { return f.Err }

// PausedError says that a run stopped because it would have done something that
// nobody approved. The units before are applied; nothing of this unit is.
type PausedError struct {
	Unit addr.Unit `json:"unit"`
	Run  string    `json:"run"`
	// Reasons say what the unit's plan does beyond the approved one.
	Reasons []string `json:"reasons"`
}

// Error names the unit and the reasons.
func (e *PausedError) Error() string {
	return fmt.Sprintf("%s: the run is paused, because its plan now does more than what was approved: %s", e.Unit, strings.Join(e.Reasons, "; "))
}
