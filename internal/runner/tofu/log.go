package tofu

import (
	"encoding/json"
	"os"
	"strings"
	"time"

	"github.com/stratahq/strata/internal/engine"
)

// entry is a line of OpenTofu's machine-readable log (`-json`), as
// https://opentofu.org/docs/internals/machine-readable-ui/ describes it.
type entry struct {
	Level   string    `json:"@level"`
	Message string    `json:"@message"`
	At      time.Time `json:"@timestamp"`
	Type    string    `json:"type"`
	Hook    struct {
		Resource struct {
			Addr string `json:"addr"`
			Type string `json:"resource_type"`
		} `json:"resource"`
		Action  string  `json:"action"`
		Elapsed float64 `json:"elapsed_seconds"`
	} `json:"hook"`
	Diagnostic *diagnostic `json:"diagnostic"`
	Outputs    map[string]struct {
		Sensitive bool            `json:"sensitive"`
		Value     json.RawMessage `json:"value"`
	} `json:"outputs"`
}

type diagnostic struct {
	Severity string `json:"severity"`
	Summary  string `json:"summary"`
	Detail   string `json:"detail"`
	Address  string `json:"address"`
	Range    *struct {
		Filename string `json:"filename"`
		Start    struct {
			Line int `json:"line"`
		} `json:"start"`
	} `json:"range"`
}

// parse decodes a line; a line that is no JSON is passed over.
func parse(line []byte) (entry, bool) {
	var e entry
	if len(line) == 0 || line[0] != '{' || json.Unmarshal(line, &e) != nil {
		return entry{}, false
	}
	return e, true
}

// journal is what a log says of an apply.
type journal struct {
	started  []string          // addresses in the order in which their change began
	action   map[string]string // what was begun
	finished []string
	failed   map[string]bool
	outputs  map[string]json.RawMessage
	problems []engine.Problem
	ended    bool // outputs were printed: the apply came to its end
}

func newJournal() *journal { return &journal{action: map[string]string{}, failed: map[string]bool{}} }

// add takes a line and returns what it is, for events.
func (j *journal) add(e entry) {
	addr := e.Hook.Resource.Addr
	switch e.Type {
	case "apply_start":
		j.started = append(j.started, addr)
		j.action[addr] = e.Hook.Action
	case "apply_complete":
		j.finished = append(j.finished, addr)
	case "apply_errored":
		j.failed[addr] = true
	case "outputs":
		j.outputs = map[string]json.RawMessage{}
		for name, o := range e.Outputs {
			if !o.Sensitive && len(o.Value) > 0 {
				j.outputs[name] = o.Value
			}
		}
		j.ended = true
	case "diagnostic":
		if e.Diagnostic != nil && e.Diagnostic.Severity == "error" {
			j.problems = append(j.problems, problem(*e.Diagnostic))
		}
	}
}

// refused reports whether the cloud said no to a change: then it did nothing. A
// provider that died says nothing about what it had done before.
func (j *journal) refused(address string) bool {
	if !j.failed[address] {
		return false
	}
	for _, p := range j.problems {
		if p.Resource == trim(address) {
			c := classify([]engine.Problem{p}, "")
			return c != engine.CauseProvider && c != engine.CauseTimeout && c != engine.CauseCancelled
		}
	}
	return false
}

// open lists what was begun and of which it is not known what became of it.
func (j *journal) open() []string {
	done := map[string]bool{}
	for _, a := range j.finished {
		done[a] = true
	}
	var out []string
	for _, a := range j.started {
		if !done[a] && !j.refused(a) {
			out = append(out, trim(a))
		}
	}
	return out
}

// changed lists what was changed.
func (j *journal) changed() []string {
	out := make([]string, 0, len(j.finished))
	for _, a := range j.finished {
		out = append(out, trim(a))
	}
	return out
}

// problem turns a diagnostic into the engine's words.
func problem(d diagnostic) engine.Problem {
	p := engine.Problem{Summary: d.Summary, Detail: strings.TrimSpace(d.Detail), Resource: trim(d.Address)}
	if d.Range != nil {
		p.File, p.Line = d.Range.Filename, d.Range.Start.Line
	}
	return p
}

// trim removes the module call that every root has.
func trim(addr string) string { return strings.TrimPrefix(addr, moduleCall) }

// moduleCall is the address of the one module that a root calls.
const moduleCall = "module.this."

// event turns a line into an event of the engine; false when nobody wants it.
func (e entry) event() (engine.Event, bool) {
	ev := engine.Event{At: e.At, Resource: trim(e.Hook.Resource.Addr), Action: e.Hook.Action, Elapsed: time.Duration(e.Hook.Elapsed * float64(time.Second))}
	switch e.Type {
	case "apply_start":
		ev.Type = engine.ResourceStarted
	case "apply_complete":
		ev.Type = engine.ResourceFinished
	case "apply_errored":
		ev.Type = engine.ResourceFailed
	default:
		return engine.Event{}, false
	}
	return ev, true
}

// readLog reads a whole log; what is not there says nothing.
func readLog(file string) *journal {
	j := newJournal()
	b, err := os.ReadFile(file)
	if err != nil {
		return j
	}
	for line := range strings.Lines(string(b)) {
		if e, ok := parse([]byte(strings.TrimSuffix(line, "\n"))); ok {
			j.add(e)
		}
	}
	return j
}

// problems reads the errors from a log in memory: of `init -json`, `plan -json`.
func problems(out []byte) []engine.Problem {
	j := newJournal()
	for line := range strings.Lines(string(out)) {
		if e, ok := parse([]byte(strings.TrimSuffix(line, "\n"))); ok {
			j.add(e)
		}
	}
	return j.problems
}
