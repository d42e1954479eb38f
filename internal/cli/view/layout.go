package view

import (
	"cmp"
	"slices"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/graph"
)

// spot is something that takes room in a column of the picture: a unit's box, or a
// place where the line from a unit passes through on its way to a later column.
type spot struct {
	unit   *graph.Unit // nil where a line passes through
	source *graph.Unit // the unit itself, or the one that the line comes from
	column int
	height float64
	y      float64 // of the centre
	// from are the spots of the column before that a line comes from; to is the
	// reverse.
	from, to []*spot
}

// layout is a layered drawing of a graph: columns are levels of dependency, so all
// lines run from left to right.
type layout struct {
	columns [][]*spot
	spots   map[addr.Unit]*spot
}

const (
	boxHeight  = 40.0
	lineHeight = 8.0
	rowGap     = 12.0
	// sweeps is how often the columns are put in order by their neighbours; more
	// changes little.
	sweeps = 24
)

func newLayout(g *graph.Graph) *layout {
	l := &layout{spots: map[addr.Unit]*spot{}}
	for i, level := range g.Levels() {
		var column []*spot
		for _, a := range level {
			u, _ := g.Unit(a)
			s := &spot{unit: &u, source: &u, column: i, height: boxHeight}
			l.spots[a] = s
			column = append(column, s)
		}
		l.columns = append(l.columns, column)
	}
	l.connect(g)
	best, fewest := l.order(), l.crossings()
	for n := range sweeps {
		l.arrange(n%2 == 0)
		if c := l.crossings(); c < fewest {
			best, fewest = l.order(), c
		}
	}
	l.columns = best
	for _, c := range l.columns {
		place(c, func(*spot) float64 { return 0 })
	}
	for n := range sweeps {
		l.straighten(n%2 == 0)
	}
	return l
}

// connect draws lines for the dependencies that do not follow from others. All lines
// of a unit that pass a column do so at one place, which keeps the picture calm.
func (l *layout) connect(g *graph.Graph) {
	dependents := map[addr.Unit][]addr.Unit{}
	for _, u := range g.Units {
		for _, d := range g.Direct(u.Addr) {
			dependents[d] = append(dependents[d], u.Addr)
		}
	}
	for _, u := range g.Units {
		source := l.spots[u.Addr]
		through := []*spot{source}
		for _, a := range dependents[u.Addr] {
			target := l.spots[a]
			for len(through) < target.column-source.column {
				s := &spot{source: source.unit, column: source.column + len(through), height: lineHeight}
				join(through[len(through)-1], s)
				l.columns[s.column] = append(l.columns[s.column], s)
				through = append(through, s)
			}
			join(through[target.column-source.column-1], target)
		}
	}
}

func join(from, to *spot) {
	from.to = append(from.to, to)
	to.from = append(to.from, from)
}

// arrange puts each column in the order of its neighbours' middle, which takes most
// crossings away.
func (l *layout) arrange(forward bool) {
	at := map[*spot]float64{}
	for _, c := range l.columns {
		for i, s := range c {
			at[s] = float64(i) / float64(len(c))
		}
	}
	for i := range l.columns {
		if !forward {
			i = len(l.columns) - 1 - i
		}
		column := l.columns[i]
		middle := map[*spot]float64{}
		for _, s := range column {
			middle[s] = mean(neighbours(s, forward), func(n *spot) float64 { return at[n] }, at[s])
		}
		slices.SortStableFunc(column, func(a, b *spot) int { return cmp.Compare(middle[a], middle[b]) })
		for j, s := range column {
			at[s] = float64(j) / float64(len(column))
		}
	}
}

// order returns a copy of the columns.
func (l *layout) order() [][]*spot {
	out := make([][]*spot, len(l.columns))
	for i, c := range l.columns {
		out[i] = slices.Clone(c)
	}
	return out
}

// crossings counts the pairs of lines that cross: of two lines between neighbouring
// columns, those that begin in one order and end in the other.
func (l *layout) crossings() int {
	at := map[*spot]int{}
	for _, c := range l.columns {
		for i, s := range c {
			at[s] = i
		}
	}
	n := 0
	for _, c := range l.columns {
		// ends holds, sorted, where the lines of the spots so far end.
		var ends []int
		for _, s := range c {
			own := make([]int, len(s.to))
			for i, t := range s.to {
				own[i] = at[t]
				after, _ := slices.BinarySearch(ends, own[i]+1)
				n += len(ends) - after
			}
			ends = append(ends, own...)
			slices.Sort(ends)
		}
	}
	return n
}

// straighten moves each column's spots towards their neighbours, keeping their order
// and distance.
func (l *layout) straighten(forward bool) {
	for i := range l.columns {
		if !forward {
			i = len(l.columns) - 1 - i
		}
		place(l.columns[i], func(s *spot) float64 {
			return mean(neighbours(s, forward), func(n *spot) float64 { return n.y }, s.y)
		})
	}
}

func neighbours(s *spot, forward bool) []*spot {
	if forward {
		return s.from
	}
	return s.to
}

func mean(of []*spot, value func(*spot) float64, otherwise float64) float64 {
	if len(of) == 0 {
		return otherwise
	}
	sum := 0.0
	for _, s := range of {
		sum += value(s)
	}
	return sum / float64(len(of))
}

// place puts a column's spots as near to where they want to be as order and distance
// allow: spots that would overlap form a block, which stands at the mean of what its
// members want.
func place(column []*spot, want func(*spot) float64) {
	type block struct {
		spots  []*spot
		offset []float64 // of each spot's centre from the first's
		sum    float64   // of what the members want of the first
	}
	centre := func(b block) float64 { return b.sum / float64(len(b.spots)) }
	var blocks []block
	for _, s := range column {
		b := block{[]*spot{s}, []float64{0}, want(s)}
		for len(blocks) > 0 {
			p := blocks[len(blocks)-1]
			last := len(p.spots) - 1
			gap := p.offset[last] + p.spots[last].height/2 + rowGap + b.spots[0].height/2
			if centre(p)+gap <= centre(b) {
				break
			}
			for i := range b.spots {
				p.offset = append(p.offset, b.offset[i]+gap)
			}
			p.sum += b.sum - gap*float64(len(b.spots))
			p.spots = append(p.spots, b.spots...)
			b = p
			blocks = blocks[:len(blocks)-1]
		}
		blocks = append(blocks, b)
	}
	for _, b := range blocks {
		for i, s := range b.spots {
			s.y = centre(b) + b.offset[i]
		}
	}
}
