package view

import (
	"encoding/json"
	"hash/fnv"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/term"
)

// LogsOptions says how Logs shows lines.
type LogsOptions struct {
	// JSON writes each line as an object of its own.
	JSON  bool
	Color bool
	// Clean shows characters that would steer a terminal by stand-ins.
	Clean bool
	// Unit is whose lines they are.
	Unit addr.Unit
}

// Logs writes lines of logs. It is not safe for concurrent use.
type Logs struct {
	w   io.Writer
	opt LogsOptions
	// from says whose each line is, in a column of this width.
	from   map[string]bool
	column int
	err    error
}

// NewLogs returns a Logs that writes to w.
func NewLogs(w io.Writer, opt LogsOptions) *Logs {
	return &Logs{w: w, opt: opt, from: map[string]bool{}}
}

// Expect says which pods lines will come from, of which container (all, where it is
// empty), so that the first line is laid out as the last.
func (l *Logs) Expect(pods []*corev1.Pod, container string) {
	for _, p := range pods {
		for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
			if container == "" || c.Name == container {
				l.meet(p.Name + "/" + c.Name)
			}
		}
	}
}

func (l *Logs) meet(from string) {
	l.from[from] = true
	l.column = max(l.column, term.Width(from))
}

// hues are the colours that tell sources apart.
var hues = []term.Style{term.Blue, term.Green, term.Yellow, term.Magenta, term.Cyan}

// Line writes a line.
func (l *Logs) Line(line cluster.LogLine) {
	if l.err != nil {
		return
	}
	if l.opt.JSON {
		l.json(line)
		return
	}
	text := line.Text
	if l.opt.Clean {
		text = term.Clean(strings.ReplaceAll(text, "\t", "    "))
	}
	from := line.Pod + "/" + line.Container
	l.meet(from)
	if len(l.from) > 1 {
		h := fnv.New32a()
		_, _ = h.Write([]byte(from))
		text = term.Painter(l.opt.Color).Paint(hues[h.Sum32()%uint32(len(hues))], pad(term.Clean(from), l.column)) + "  " + text
	}
	_, l.err = io.WriteString(l.w, text+"\n")
}

func (l *Logs) json(line cluster.LogLine) {
	doc := struct {
		Time      time.Time       `json:"time,omitzero"`
		Unit      addr.Unit       `json:"unit"`
		Namespace string          `json:"namespace"`
		Pod       string          `json:"pod"`
		Container string          `json:"container"`
		Log       json.RawMessage `json:"log,omitempty"`
		Text      *string         `json:"text,omitempty"`
	}{Time: line.At, Unit: l.opt.Unit, Namespace: line.Namespace, Pod: line.Pod, Container: line.Container}
	// A line that is an object stays one.
	if strings.HasPrefix(line.Text, "{") && json.Valid([]byte(line.Text)) {
		doc.Log = json.RawMessage(line.Text)
	} else {
		doc.Text = &line.Text
	}
	enc := json.NewEncoder(l.w)
	enc.SetEscapeHTML(false)
	l.err = enc.Encode(doc)
}

// Err returns the first error of writing.
func (l *Logs) Err() error { return l.err }
