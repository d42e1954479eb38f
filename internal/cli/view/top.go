package view

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/term"
)

// TopOrders are the orders in which Top can show its rows.
var TopOrders = []string{"memory", "cpu", "name"}

// Top is what units, or the components of a node, use.
type Top struct {
	Environment string
	// Components says that rows are processes of a node and not units.
	Components bool
	Rows       []TopRow
}

// TopRow is what one of them uses.
type TopRow struct {
	Name string
	// Pods is the number of pods, or of processes.
	Pods int
	// OfPod says that processes are of pods and not of the node itself.
	OfPod                bool
	Uses, Request, Limit cluster.Usage
	// Measured says that any of the pods was measured.
	Measured bool
	// NoCPULimit and NoMemoryLimit say that one of the pods may use as much as there is.
	NoCPULimit, NoMemoryLimit bool
}

// Add adds a pod; measured says that it is known what it uses.
func (r *TopRow) Add(uses cluster.Usage, measured bool, request, limit cluster.Usage) {
	r.Measured = r.Measured || measured
	r.Uses.Add(uses)
	r.Request.Add(request)
	r.Limit.Add(limit)
	r.NoCPULimit = r.NoCPULimit || limit.CPU == 0
	r.NoMemoryLimit = r.NoMemoryLimit || limit.Memory == 0
}

// Sort sorts the rows: what uses most comes first.
func (t *Top) Sort(order string) {
	slices.SortFunc(t.Rows, func(a, b TopRow) int {
		by := 0
		switch order {
		case "memory":
			by = cmp.Compare(b.Uses.Memory, a.Uses.Memory)
		case "cpu":
			by = cmp.Compare(b.Uses.CPU, a.Uses.CPU)
		}
		return cmp.Or(by, strings.Compare(a.Name, b.Name))
	})
}

// JSON writes it as one versioned document; CPU is in thousandths of a core, memory in
// bytes.
func (t *Top) JSON(w io.Writer) error {
	type amounts struct {
		CPU    int64 `json:"milliCPU"`
		Memory int64 `json:"memory"`
	}
	type row struct {
		Name    string   `json:"name"`
		Count   int      `json:"count"`
		OfPod   bool     `json:"ofPod,omitempty"`
		Uses    amounts  `json:"uses"`
		Request *amounts `json:"request,omitempty"`
		Limit   *amounts `json:"limit,omitempty"`
	}
	doc := struct {
		Version     string `json:"version"`
		Environment string `json:"environment"`
		Of          string `json:"of"`
		Rows        []row  `json:"rows"`
	}{"1", t.Environment, "units", []row{}}
	if t.Components {
		doc.Of = "components"
	}
	for _, r := range t.Rows {
		out := row{Name: r.Name, Count: r.Pods, OfPod: r.OfPod, Uses: amounts(r.Uses)}
		if !t.Components {
			request, limit := amounts(r.Request), amounts(r.Limit)
			out.Request, out.Limit = &request, &limit
		}
		doc.Rows = append(doc.Rows, out)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}

// TopOptions says how Human shows a Top.
type TopOptions struct {
	Color bool
	Width int
}

// Human writes it for people.
func (t *Top) Human(w io.Writer, opt TopOptions) error {
	if opt.Width <= 0 {
		opt.Width = term.DefaultWidth
	}
	p := term.Painter(opt.Color)
	var b strings.Builder
	line := func(s string) { b.WriteString(strings.TrimRight(s, " ") + "\n") }
	column := term.Width("memory")
	for _, r := range t.Rows {
		column = max(column, term.Width(r.Name))
	}
	column = min(column, max(20, opt.Width-50))
	// Each of the two amounts takes 8 columns, and with a bar 3 more than that.
	bar := 0
	if !t.Components {
		bar = min(24, (opt.Width-column-2-6-2*(8+3+12))/2)
	}
	count := "pods"
	if t.Components {
		count = "procs"
	}
	head := pad("", column) + "  " + left(count, 5) + "  " + left("cpu", 8)
	if bar >= 6 {
		head += "  " + pad("of limit", bar+12)
	}
	line(p.Paint(term.Dim, head+"  "+left("memory", 8)+"  "+map[bool]string{true: "of limit"}[bar >= 6]))
	var sum, own cluster.Usage
	for _, r := range t.Rows {
		sum.Add(r.Uses)
		if !r.OfPod {
			own.Add(r.Uses)
		}
		s := pad(term.Cut(term.Clean(r.Name), column), column) + "  " + p.Paint(term.Dim, left(fmt.Sprint(r.Pods), 5)) + "  " + left(r.amount(cores(r.Uses.CPU)), 8)
		if bar >= 6 {
			s += "  " + gauge(p, bar, r.Uses.CPU, r.Request.CPU, r.Limit.CPU, r.NoCPULimit) + " " + pad(limitText(cores(r.Limit.CPU), r.NoCPULimit), 11)
		}
		s += "  " + left(r.amount(bytesOf(r.Uses.Memory)), 8)
		if bar >= 6 {
			s += "  " + gauge(p, bar, r.Uses.Memory, r.Request.Memory, r.Limit.Memory, r.NoMemoryLimit) + " " + limitText(bytesOf(r.Limit.Memory), r.NoMemoryLimit)
		}
		line(s)
	}
	total := func(name string, u cluster.Usage) {
		gap := ""
		if bar >= 6 {
			gap = strings.Repeat(" ", bar+14)
		}
		line(p.Paint(term.Bold, pad(name, column)+"  "+left("", 5)+"  "+left(cores(u.CPU), 8)+gap+"  "+left(bytesOf(u.Memory), 8)))
	}
	if t.Components {
		total("node itself", own)
	}
	total("total", sum)
	_, err := io.WriteString(w, b.String())
	return err
}

// amount is an amount that was measured.
func (r TopRow) amount(text string) string {
	if !r.Measured {
		return "?"
	}
	return text
}

func limitText(limit string, none bool) string {
	if none {
		return "no limit"
	}
	return limit
}

// gauge draws how much of a limit is used, with a mark at the request. Without a limit
// the request is the measure.
func gauge(p term.Painter, width int, uses, request, limit int64, none bool) string {
	full := limit
	if none {
		full = max(request, uses)
	}
	if full <= 0 {
		return strings.Repeat(" ", width)
	}
	at := func(n int64) int { return int(min(int64(width), (n*int64(width)+full/2)/full)) }
	filled, mark := at(uses), min(at(request), width-1)
	if uses > 0 {
		filled = max(filled, 1)
	}
	style := term.Green
	switch {
	case !none && uses*10 >= limit*9:
		style = term.Red
	case request > 0 && uses > request:
		style = term.Yellow
	}
	cells := make([]string, width)
	for i := range cells {
		switch {
		case i == mark && request > 0:
			cells[i] = p.Paint(term.Bold, "│")
		case i < filled:
			cells[i] = p.Paint(style, "█")
		default:
			cells[i] = p.Paint(term.Dim, "░")
		}
	}
	return strings.Join(cells, "")
}

// left pads on the left.
func left(s string, columns int) string {
	return strings.Repeat(" ", max(0, columns-term.Width(s))) + s
}

// cores writes thousandths of a core.
func cores(milli int64) string {
	if milli < 1000 {
		return fmt.Sprintf("%dm", milli)
	}
	return fmt.Sprintf("%.1f", float64(milli)/1000)
}

// bytesOf writes an amount of memory.
func bytesOf(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
