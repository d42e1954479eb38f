// Package store says what Strata remembers of environments: what was last applied,
// the runs and their journals, locks, approvals and the audit trail. It holds the
// types, the Store interface and the hash chains; package sqlstore keeps them in a
// database. Secret values never get here: a secret output is a reference.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stratahq/strata/internal/addr"
)

// Status is how far a unit is.
type Status string

// The statuses of a unit. A unit that was destroyed has no row.
const (
	// Applied units are as their row says.
	Applied Status = "applied"
	// Partial units were being applied or destroyed when that was last heard of.
	Partial Status = "partial"
)

// Unit is what is on record of one unit.
type Unit struct {
	Addr        addr.Unit
	Kind, Layer string
	Status      Status
	// Digest is of what the unit was rendered from, Inputs of the values that
	// flowed in.
	Digest, Inputs string
	// Outputs are values; secret outputs are references.
	Outputs map[string]json.RawMessage
	// DependsOn is what it needed when it was applied.
	DependsOn []addr.Unit
	// Root is what the engine needs to destroy the unit when no model has it.
	Root []byte
	// Run is the run that applied it last, Applied when, Version by which Strata.
	Run     string
	Applied time.Time
	Version string
}

// RunStatus is how a run stands.
type RunStatus string

// The statuses of a run.
const (
	Running     RunStatus = "running"
	Paused      RunStatus = "paused"
	Succeeded   RunStatus = "succeeded"
	Failed      RunStatus = "failed"
	Cancelled   RunStatus = "cancelled"
	Interrupted RunStatus = "interrupted" // it never said how it ended
)

// Run is one execution of a plan.
type Run struct {
	ID          string `json:"id"`
	Environment string `json:"environment"`
	Operation   string `json:"operation"`
	// Seal is the seal of the plan, in hexadecimal.
	Seal    string    `json:"seal"`
	Who     string    `json:"who"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	Status  RunStatus `json:"status"`
	// Resumes is the interrupted run that this one goes on with.
	Resumes string `json:"resumes,omitempty"`
	Error   string `json:"error,omitempty"`
}

// Event is a line of a run's journal.
type Event struct {
	Run string `json:"run"`
	// Seq counts from 1; the store sets it and Hash.
	Seq  int64           `json:"seq"`
	At   time.Time       `json:"at"`
	Unit addr.Unit       `json:"unit,omitzero"`
	Type string          `json:"type"`
	Data json.RawMessage `json:"data,omitempty"`
	Hash string          `json:"hash"`
}

// Lock keeps all but one run out of an environment.
type Lock struct {
	Environment, Owner, Host string
	PID                      int
	// ProcessStart tells the process from a later one of the same number; see
	// the function ProcessStart.
	ProcessStart   int64
	Run, Operation string
	// Since is when it was taken, Seen when its owner last said that it is alive.
	Since, Seen time.Time
}

// Entry is a line of the audit trail.
type Entry struct {
	// Seq counts from 1; the store sets it, Previous and Hash.
	Seq         int64           `json:"seq"`
	At          time.Time       `json:"at"`
	Who         string          `json:"who"`
	Host        string          `json:"host"`
	Action      string          `json:"action"`
	Environment string          `json:"environment"`
	Subject     string          `json:"subject"`
	Data        json.RawMessage `json:"data,omitempty"`
	Previous    string          `json:"previous"`
	Hash        string          `json:"hash"`
}

// LockedError says that somebody has the lock.
type LockedError struct{ Holder Lock }

// Error names the owner and what to do.
func (e *LockedError) Error() string {
	h := e.Holder
	return fmt.Sprintf("%s is locked by %s (%s, process %d on %s) since %s, last seen %s; if that process is gone, `strata unlock %s`",
		h.Environment, h.Owner, h.Operation, h.PID, h.Host, h.Since.UTC().Format(time.DateTime+" UTC"), h.Seen.UTC().Format(time.TimeOnly), h.Environment)
}

// ErrLost means that a lock is not its run's any more: somebody removed it.
var ErrLost = errors.New("the lock was taken away")

// ChainError says where a hash chain breaks.
type ChainError struct {
	// Chain is "audit" or the id of a run; Seq the first line that is wrong.
	Chain string
	Seq   int64
	// Why is "changed", "missing" or "more lines than were written".
	Why string
}

// Error names the chain and the line.
func (e *ChainError) Error() string {
	return fmt.Sprintf("%s: line %d: %s", e.Chain, e.Seq, e.Why)
}

// Store keeps what is known of environments. It is safe for concurrent use by
// goroutines and by processes.
type Store interface {
	// Units returns an environment's units, sorted by address.
	Units(ctx context.Context, env string) ([]Unit, error)
	// PutUnit writes a unit's row and lines of the journal, both or neither.
	PutUnit(ctx context.Context, u Unit, lines ...Event) error
	// DeleteUnit removes a unit's row and writes lines of the journal, both or
	// neither.
	DeleteUnit(ctx context.Context, a addr.Unit, lines ...Event) error

	// StartRun and UpdateRun write a run; Run returns one, Runs those of an
	// environment ("" means all), the newest first.
	StartRun(ctx context.Context, r Run) error
	UpdateRun(ctx context.Context, r Run) error
	Run(ctx context.Context, id string) (Run, error)
	Runs(ctx context.Context, env string, limit int) ([]Run, error)

	// Append writes lines of the journal; they are on disk when it returns.
	Append(ctx context.Context, lines ...Event) error
	// Events returns the journal of a run in order.
	Events(ctx context.Context, run string) ([]Event, error)
	// VerifyRun returns a *ChainError if a run's journal is not what was written.
	VerifyRun(ctx context.Context, run string) error

	// Acquire takes the environment's lock or returns a *LockedError. The lock of
	// a process of this machine that is gone is taken over, which is audited.
	Acquire(ctx context.Context, l Lock) error
	// Renew says that the owner is alive, Release gives the lock back; both fail
	// with ErrLost when the lock is not l's run's any more.
	Renew(ctx context.Context, l Lock) error
	Release(ctx context.Context, l Lock) error
	// Break removes somebody's lock, if it is still the one expected, which is
	// audited.
	Break(ctx context.Context, expected Lock, who, host string) error
	// Locks returns all locks, sorted by environment.
	Locks(ctx context.Context) ([]Lock, error)

	// Audit writes a line of the audit trail, AuditLog returns the last lines of an
	// environment ("" means all) in order, VerifyAudit returns the number of lines
	// and a *ChainError if they are not what was written.
	Audit(ctx context.Context, e Entry) error
	AuditLog(ctx context.Context, env string, limit int) ([]Entry, error)
	VerifyAudit(ctx context.Context) (int, error)

	Close() error
}
