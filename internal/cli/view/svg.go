package view

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
)

// ErrTooLarge says that a graph has too many units for a picture.
var ErrTooLarge = errors.New("the graph has too many units for a picture")

// svgUnits is how many units a picture shows; nobody can read more.
const svgUnits = 1000

// palette is how a layer looks: a light fill below dark text, and a line that keeps
// its distance from the others for people who see colours differently.
type palette struct{ fill, line string }

var colors = map[model.Layer]palette{
	model.LayerProvisioning:  {"#e3edfd", "#2f62c4"},
	model.LayerRuntime:       {"#dff3e6", "#217a4b"},
	model.LayerNetworking:    {"#fff0d4", "#b26a00"},
	model.LayerObservability: {"#efe6fb", "#7a3fc0"},
	model.LayerSecurity:      {"#fde5e4", "#b8322f"},
}

const (
	margin    = 28.0
	headRoom  = 92.0
	columnGap = 72.0
	// Advance of a character of the two sizes of text, on the generous side: what
	// fonts a viewer has is not known.
	nameAdvance = 7.3
	whatAdvance = 6.2
)

// GraphSVG writes a graph as a picture: a column for each level of dependency, a box
// for each unit in its layer's colour, and a line from each unit to those that need
// it. Dependencies that follow from others are left out. It returns ErrTooLarge for
// graphs that no picture can show.
func GraphSVG(w io.Writer, g *graph.Graph) error {
	if len(g.Units) > svgUnits {
		return fmt.Errorf("%w: %s, at most %s", ErrTooLarge, thousands(len(g.Units)), thousands(svgUnits))
	}
	p := newPicture(g)
	out := bufio.NewWriter(w)
	// Write errors stick to the buffered writer, whose Flush returns them.
	p.line = func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
	p.draw()
	return out.Flush()
}

type picture struct {
	*layout
	g             *graph.Graph
	x, widths     []float64 // of each column
	width, height float64
	line          func(format string, args ...any)
}

func newPicture(g *graph.Graph) *picture {
	p := &picture{layout: newLayout(g), g: g}
	top, bottom := math.Inf(1), math.Inf(-1)
	x := margin
	for _, column := range p.columns {
		width := 0.0
		for _, s := range column {
			top, bottom = min(top, s.y-s.height/2), max(bottom, s.y+s.height/2)
			if s.unit != nil {
				width = max(width, 24+max(nameAdvance*runes(s.unit.Addr.Name), whatAdvance*runes(what(*s.unit))))
			}
		}
		p.x, p.widths = append(p.x, x), append(p.widths, width)
		x += width + columnGap
	}
	if len(p.columns) == 0 {
		top, bottom = 0, 0
	}
	for _, column := range p.columns {
		for _, s := range column {
			s.y += headRoom + margin - top
		}
	}
	p.width = max(x-columnGap+margin, 860)
	p.height = headRoom + bottom - top + 2*margin
	return p
}

func runes(s string) float64 { return float64(utf8.RuneCountInString(s)) }

func (p *picture) draw() {
	p.line(`<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img" font-family="Inter, Helvetica, Arial, 'DejaVu Sans', sans-serif">`, p.width, p.height, p.width, p.height)
	p.line(`<title>Units of environment %s</title>`, xmlText(p.g.Environment))
	p.line(`<defs>`)
	for _, l := range model.Layers {
		p.line(`<marker id="to-%s" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0.6 8 4 0 7.4z" fill="%s"/></marker>`, l, colors[l].line)
	}
	p.line(`</defs>`)
	p.line(`<rect width="100%%" height="100%%" fill="#ffffff"/>`)
	p.legend()
	p.line(`<g fill="none" stroke-width="1.2" stroke-opacity="0.6">`)
	for _, column := range p.columns {
		for _, s := range column {
			for _, t := range s.to {
				p.edge(s, t)
			}
		}
	}
	p.line(`</g>`)
	for _, column := range p.columns {
		for _, s := range column {
			if s.unit != nil {
				p.box(s)
			}
		}
	}
	p.line(`</svg>`)
}

func (p *picture) legend() {
	p.line(`<text x="%.0f" y="44" font-size="20" font-weight="600" fill="#1b2430">%s</text>`, margin, xmlText(p.g.Environment))
	p.line(`<text x="%.0f" y="44" font-size="13" fill="#4a5565">%s</text>`, margin+12*runes(p.g.Environment)+14, xmlText(counts(p.g.Units)))
	x := margin
	layers := byLayer(p.g)
	for _, l := range model.Layers {
		c := colors[l]
		label := fmt.Sprintf("%s %s", l, thousands(len(layers[l])))
		p.line(`<rect x="%.0f" y="62" width="14" height="14" rx="3" fill="%s" stroke="%s" stroke-width="1.3"/>`, x, c.fill, c.line)
		p.line(`<text x="%.0f" y="73.5" font-size="12" fill="#1b2430">%s</text>`, x+20, xmlText(label))
		x += 20 + 6.8*runes(label) + 22
	}
	p.line(`<rect x="%.0f" y="62" width="14" height="14" rx="3" fill="#ffffff" stroke="#4a5565" stroke-width="1.3" stroke-dasharray="3 2"/>`, x)
	p.line(`<text x="%.0f" y="73.5" font-size="12" fill="#1b2430">existing</text>`, x+20)
}

// edge draws a line between neighbouring columns, in the colour of the unit that it
// comes from. Where a line passes through, it runs straight across the column.
func (p *picture) edge(s, t *spot) {
	x0, x1 := p.x[s.column]+p.widths[s.column], p.x[t.column]
	layer := s.source.Layer
	path := fmt.Sprintf("M%.1f %.1f", x0, s.y)
	if s.unit == nil && t == s.to[0] {
		path = fmt.Sprintf("M%.1f %.1fH%.1f", p.x[s.column], s.y, x0)
	}
	bend := (x1 - x0) / 2
	arrow := ""
	if t.unit != nil {
		arrow = fmt.Sprintf(` marker-end="url(#to-%s)"`, layer)
	}
	p.line(`<path d="%sC%.1f %.1f %.1f %.1f %.1f %.1f" stroke="%s"%s/>`, path, x0+bend, s.y, x1-bend, t.y, x1, t.y, colors[layer].line, arrow)
}

func (p *picture) box(s *spot) {
	u := s.unit
	c := colors[u.Layer]
	dash := ""
	if u.Existing {
		dash = ` stroke-dasharray="5 3"`
	}
	x, y := p.x[s.column], s.y-s.height/2
	tip := u.Addr.String() + ": " + what(*u) + ", " + string(u.Layer)
	if len(u.DependsOn) > 0 {
		names := make([]string, len(u.DependsOn))
		for i, d := range u.DependsOn {
			names[i] = d.Name
		}
		tip += "; needs " + strings.Join(names, ", ")
	}
	p.line(`<g><title>%s</title>`, xmlText(tip))
	p.line(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="6" fill="%s" stroke="%s" stroke-width="1.3"%s/>`, x, y, p.widths[s.column], s.height, c.fill, c.line, dash)
	p.line(`<text x="%.1f" y="%.1f" font-size="12.5" font-weight="600" fill="#1b2430">%s</text>`, x+12, y+17, xmlText(u.Addr.Name))
	p.line(`<text x="%.1f" y="%.1f" font-size="11" fill="#4a5565">%s</text></g>`, x+12, y+32, xmlText(what(*u)))
}

// xmlText escapes what XML reserves. Addresses hold no control characters.
func xmlText(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}
