package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/compile"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/plan"
	"github.com/stratahq/strata/internal/store"
)

// Config is what an Engine works with.
type Config struct {
	Store   store.Store
	Runners map[graph.Kind]Runner
	// Workers bounds the units that are planned or applied at a time; 0 means
	// the number of cores.
	Workers int
	// Who acts, on which Host, with which Version of Strata.
	Who, Host, Version string
	// Now is the clock.
	Now func() time.Time
	// Emit takes events; it is called from several goroutines, one at a time.
	Emit func(Event)
}

// Engine previews and runs plans.
type Engine struct {
	cfg  Config
	emit sync.Mutex
}

// New returns an engine.
func New(cfg Config) *Engine {
	if cfg.Workers <= 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Engine{cfg: cfg}
}

func (e *Engine) send(ev Event) {
	if e.cfg.Emit == nil {
		return
	}
	if ev.At.IsZero() {
		ev.At = e.cfg.Now()
	}
	e.emit.Lock()
	defer e.emit.Unlock()
	e.cfg.Emit(ev)
}

// runner returns who plans and applies units of a kind.
func (e *Engine) runner(u graph.Unit) (Runner, error) {
	r, ok := e.cfg.Runners[u.Kind]
	if !ok {
		return nil, &Failure{
			Unit: u.Addr, Stage: "plan", Cause: CauseInput,
			Problems: []Problem{{Summary: fmt.Sprintf("nothing here can plan or apply %s units", u.Kind)}},
			Next:     "Leave them out with --layer or --unit.",
		}
	}
	return r, nil
}

// kept is what the store keeps of a unit so that it can be destroyed when the
// model does not have it any more.
type kept struct {
	Root     json.RawMessage `json:"root,omitempty"`
	Values   map[string]any  `json:"values,omitempty"`
	Layer    string          `json:"layer,omitempty"`
	Contract string          `json:"contract,omitempty"`
	Workload string          `json:"workload,omitempty"`
	Team     string          `json:"team,omitempty"`
	Module   string          `json:"module,omitempty"`
}

// task makes the task of a unit that the model has.
func (e *Engine) task(t *Target, u graph.Unit, op plan.Operation, in inputs) (Task, error) {
	task := Task{
		Unit: u, Operation: op, Module: t.Modules[u.Module], Values: in.values, Unknown: in.unknown, Emit: e.send,
	}
	if u.Kind != graph.Tofu {
		task.Objects = func() ([]kube.Object, error) { return t.Compiled.Objects(u) }
		return task, nil
	}
	o := compile.RootOptions{Unknown: in.unknown}
	if t.StateFile != nil {
		o.StateFile = t.StateFile(u.Addr)
	}
	root, err := t.Compiled.Root(u, o)
	if err != nil {
		return Task{}, fmt.Errorf("render %s: %w", u.Addr, err)
	}
	task.Root = root
	return task, nil
}

// leftTask makes the task of destroying a unit that left the model: a root
// without a module, so that everything in the state goes.
func (e *Engine) leftTask(row store.Unit) (Task, error) {
	var k kept
	if err := json.Unmarshal(row.Root, &k); err != nil {
		return Task{}, fmt.Errorf("%s: what is on record of it: %w", row.Addr, err)
	}
	task := Task{
		Unit:      graph.Unit{Addr: row.Addr, Kind: graph.Kind(row.Kind), Contract: k.Contract, Workload: k.Workload, Team: k.Team, Module: k.Module},
		Operation: plan.Destroy, Values: k.Values, Emit: e.send,
		Objects: func() ([]kube.Object, error) { return nil, nil },
	}
	if len(k.Root) == 0 {
		return task, nil
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(k.Root, &doc); err != nil {
		return Task{}, fmt.Errorf("%s: its root on record: %w", row.Addr, err)
	}
	delete(doc, "module")
	delete(doc, "output")
	root, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return Task{}, err
	}
	task.Root = append(root, '\n')
	return task, nil
}

// rows returns what is on record of an environment, by address.
func (e *Engine) rows(ctx context.Context, env string) (map[addr.Unit]store.Unit, error) {
	list, err := e.cfg.Store.Units(ctx, env)
	if err != nil {
		return nil, err
	}
	out := make(map[addr.Unit]store.Unit, len(list))
	for _, u := range list {
		out[u.Addr] = u
	}
	return out, nil
}

// left lists the units on record that the model does not have, those that depend
// on others before them.
func left(g *graph.Graph, rows map[addr.Unit]store.Unit) []store.Unit {
	gone := map[addr.Unit]store.Unit{}
	for a, row := range rows {
		if u, ok := g.Unit(a); !ok || u.Existing {
			gone[a] = row
		}
	}
	return backwards(gone)
}

// backwards sorts rows so that each comes before those it depends on.
func backwards(rows map[addr.Unit]store.Unit) []store.Unit {
	var out []store.Unit
	seen := map[addr.Unit]bool{}
	var visit func(a addr.Unit)
	visit = func(a addr.Unit) {
		row, ok := rows[a]
		if !ok || seen[a] {
			return
		}
		seen[a] = true
		for _, d := range row.DependsOn {
			visit(d)
		}
		out = append(out, row)
	}
	for _, a := range slices.SortedFunc(maps.Keys(rows), addr.Unit.Compare) {
		visit(a)
	}
	slices.Reverse(out)
	return out
}
