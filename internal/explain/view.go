package explain

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/stratahq/strata/internal/term"
)

// JSONVersion is the version of the documents that JSON and TopicsJSON write.
const JSONVersion = "1"

// JSON writes an explanation as a versioned JSON document.
func JSON(w io.Writer, d *Doc) error {
	return encode(w, struct {
		Version string `json:"version"`
		*Doc
	}{JSONVersion, d})
}

// TopicsJSON writes topics as a versioned JSON document.
func TopicsJSON(w io.Writer, topics []Topic) error {
	return encode(w, struct {
		Version string  `json:"version"`
		Topics  []Topic `json:"topics"`
	}{JSONVersion, topics})
}

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// page is one page of text for people. Write errors stick to the buffered writer,
// whose Flush returns them.
type page struct {
	term.Painter
	w     *bufio.Writer
	width int
}

func newPage(w io.Writer, color bool, width int) *page {
	return &page{Painter: term.Painter(color), w: bufio.NewWriter(w), width: width}
}

func (p *page) line(s string) {
	_, _ = p.w.WriteString(strings.TrimRight(s, " "))
	_ = p.w.WriteByte('\n')
}

func (p *page) prose(indent int, text string) {
	if text == "" {
		return
	}
	for _, s := range term.Wrap(text, term.Prose(p.width, indent), 0) {
		p.line(strings.Repeat(" ", indent) + s)
	}
}

func (p *page) heading(s string) {
	p.line("")
	p.line(p.Paint(term.Bold, s))
}

// item writes a name with remarks behind it and a description below.
func (p *page) item(name string, remarks []string, doc string) {
	p.line("  " + p.Paint(term.Blue, term.Clean(name)) + "  " + p.Paint(term.Dim, term.Clean(strings.Join(remarks, ", "))))
	p.prose(6, doc)
}

// Human writes an explanation for people. Width 0 means 80 columns.
func Human(w io.Writer, d *Doc, color bool, width int) error {
	p := newPage(w, color, width)
	p.line(p.Paint(term.Bold, term.Clean(d.Path)) + "  " + p.Paint(term.Dim, term.Clean(strings.Join(remarks(*d), ", "))))
	if text := full(*d); text != "" {
		p.line("")
		p.prose(2, text)
	}
	if c := d.Contract; c != nil {
		p.contract(c)
	}
	if len(d.Fields) > 0 {
		title := "Fields"
		if d.Contract != nil {
			title = "Parameters"
		}
		p.heading(title)
		for _, f := range d.Fields {
			p.item(f.Name, remarks(f), full(f))
		}
	}
	if d.Contract != nil {
		p.outputs(d.Contract)
	}
	if len(d.See) > 0 {
		p.line("")
		p.prose(0, "See also: strata explain "+strings.Join(d.See, ", "))
	}
	return p.w.Flush()
}

func (p *page) contract(c *Contract) {
	p.line("")
	p.line("  Layer:   " + string(c.Layer))
	if len(c.Classes) > 0 {
		p.line(fmt.Sprintf("  Classes: %s (default: %s)", term.Clean(strings.Join(c.Classes, ", ")), term.Clean(c.Classes[0])))
	}
	switch {
	case c.Native:
		p.line("  Modules: none; Strata fulfils it with Kubernetes objects")
	case len(c.Modules) == 0:
		p.line("  Modules: none")
	}
	for i, m := range c.Modules {
		label := "  Modules: "
		if i > 0 {
			label = strings.Repeat(" ", len(label))
		}
		p.line(label + term.Clean(m.Cloud+": "+m.Source))
	}
}

func (p *page) outputs(c *Contract) {
	if len(c.Outputs) == 0 {
		return
	}
	p.heading("Outputs")
	for _, o := range c.Outputs {
		remarks := []string{o.Type}
		if o.Secret {
			remarks = append(remarks, "secret")
		}
		p.item(o.Name, remarks, o.Doc)
	}
}

// remarks say in a few words what to write.
func remarks(d Doc) []string {
	out := []string{d.Type}
	if d.Required {
		out = append(out, "required")
	}
	if d.Bounds != "" {
		out = append(out, d.Bounds)
	}
	if d.Unit != "" {
		out = append(out, "in "+d.Unit)
	}
	if d.Default != nil {
		out = append(out, "default "+literal(d.Default))
	}
	return out
}

// full is the description with the forms that a value must have.
func full(d Doc) string {
	parts := []string{d.Doc}
	if len(d.Enum) > 0 {
		words := make([]string, len(d.Enum))
		for i, e := range d.Enum {
			words[i] = fmt.Sprint(e)
		}
		if len(words) == 1 {
			parts = append(parts, "Always "+words[0]+".")
		} else {
			parts = append(parts, "One of: "+strings.Join(words, ", ")+".")
		}
	}
	if d.Form != "" {
		parts = append(parts, "Must be "+sentence(d.Form))
	}
	if d.KeyForm != "" {
		parts = append(parts, "Keys must be "+sentence(d.KeyForm))
	}
	return strings.TrimSpace(strings.Join(parts, " "))
}

// literal shows a default as it is written in a document.
func literal(v any) string {
	if s, ok := v.(string); ok && s != "" {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// TopicsHuman writes topics for people, by group. Width 0 means 80 columns.
func TopicsHuman(w io.Writer, topics []Topic, color bool, width int) error {
	p := newPage(w, color, width)
	column := 0
	for _, t := range topics {
		column = max(column, term.Width(t.Name))
	}
	group := ""
	for i, t := range topics {
		if t.Group != group {
			if i > 0 {
				p.line("")
			}
			group = t.Group
			p.line(p.Paint(term.Bold, strings.ToUpper(group[:1])+group[1:]+"s"))
		}
		indent := column + 4
		for j, s := range term.Wrap(t.Doc, term.Prose(width, indent), 0) {
			lead := strings.Repeat(" ", indent)
			if j == 0 {
				lead = "  " + p.Paint(term.Blue, term.Clean(t.Name)) + strings.Repeat(" ", indent-2-term.Width(t.Name))
			}
			p.line(lead + s)
		}
	}
	return p.w.Flush()
}
