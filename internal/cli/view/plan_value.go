package view

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/stratahq/strata/internal/plan"
	"github.com/stratahq/strata/internal/term"
)

const (
	// createdLines bounds the attributes of a new resource; changedLines those of
	// one that changes.
	createdLines, changedLines = 6, 24
	// expandDepth is how deep maps are compared key by key.
	expandDepth = 3
	// pathColumn bounds the column of names.
	pathColumn = 32
	// arrow stands between what was and what will be.
	arrow = " → "
)

// created writes what is declared of a new resource. What is not set, and what the
// cloud decides, says nothing about the plan.
func (v *planView) created(indent int, attributes []plan.Attribute, crowded bool) {
	most := createdLines
	if crowded {
		most = createdLines / 2
	}
	var shown []plan.Attribute
	later := 0
	if v.opt.Full {
		shown = attributes
		most = len(shown)
	} else {
		for _, a := range attributes {
			switch {
			case a.Unknown:
				later++
			case a.Sensitive || !empty(a.After):
				shown = append(shown, a)
			}
		}
	}
	left := max(0, len(shown)-most)
	if left == 1 {
		// The line that says so would take the same room.
		most, left = most+1, 0
	}
	if left > 0 {
		shown = foremost(shown, most)
	}
	column := v.column(shown)
	for _, a := range shown {
		v.attribute(indent, column, a.Path, nil, value(a, a.After), "")
	}
	var rest []string
	if left > 0 {
		v.folded = true
		rest = append(rest, thousands(left)+" more")
	}
	if later > 0 && (left > 0 || len(shown) == 0) {
		rest = append(rest, thousands(later)+" known after apply")
	}
	if len(rest) > 0 {
		v.line(indent, span{term.Dim, "… " + strings.Join(rest, ", ")})
	}
}

// foremost returns the attributes that say most, in their order: plain values before
// what is nested, and what is switched off last.
func foremost(all []plan.Attribute, most int) []plan.Attribute {
	weight := func(a plan.Attribute) int {
		switch x := a.After.(type) {
		case []any, map[string]any:
			return 2
		case bool:
			if !x {
				return 3
			}
			return 1
		}
		return 0
	}
	index := make([]int, len(all))
	for i := range index {
		index[i] = i
	}
	slices.SortStableFunc(index, func(a, b int) int { return weight(all[a]) - weight(all[b]) })
	index = index[:most]
	slices.Sort(index)
	out := make([]plan.Attribute, most)
	for i, at := range index {
		out[i] = all[at]
	}
	return out
}

func empty(x any) bool {
	switch x := x.(type) {
	case nil:
		return true
	case string:
		return x == ""
	case []any:
		return len(x) == 0
	case map[string]any:
		return len(x) == 0
	}
	return false
}

// changed writes what becomes another value, nested maps key by key. What forces a
// replacement comes first, so that it is never folded away.
func (v *planView) changed(indent int, attributes []plan.Attribute) {
	var all []plan.Attribute
	for _, a := range attributes {
		all = append(all, expand(a, 0)...)
	}
	slices.SortStableFunc(all, func(a, b plan.Attribute) int {
		if a.Replaces == b.Replaces {
			return 0
		}
		if a.Replaces {
			return -1
		}
		return 1
	})
	left := 0
	if len(all) > changedLines+1 && !v.opt.Full {
		left = len(all) - changedLines
		all = all[:changedLines]
	}
	column := v.column(all)
	for _, a := range all {
		note := ""
		if a.Replaces {
			note = "# forces replacement"
		}
		if a.Sensitive {
			v.attribute(indent, column, a.Path, nil, value(a, nil), note)
			continue
		}
		before := value(plan.Attribute{}, a.Before)
		v.attribute(indent, column, a.Path, &before, value(a, a.After), note)
	}
	if left > 0 {
		v.folded = true
		v.line(indent, span{term.Dim, "… " + thousands(left) + " more"})
	}
}

// expand splits the change of a map into those of its keys.
func expand(a plan.Attribute, depth int) []plan.Attribute {
	before, ok := a.Before.(map[string]any)
	after, both := a.After.(map[string]any)
	if !ok || !both || a.Unknown || a.Sensitive || depth == expandDepth {
		return []plan.Attribute{a}
	}
	keys := slices.Collect(maps.Keys(before))
	for k := range after {
		if _, ok := before[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var out []plan.Attribute
	for _, k := range keys {
		if reflect.DeepEqual(before[k], after[k]) {
			continue
		}
		path := a.Path + "." + k
		if !identifier(k) {
			path = a.Path + "[" + strconv.Quote(k) + "]"
		}
		out = append(out, expand(plan.Attribute{Path: path, Before: before[k], After: after[k], Replaces: a.Replaces}, depth+1)...)
	}
	if len(out) == 0 {
		return []plan.Attribute{a}
	}
	return out
}

func identifier(s string) bool {
	for i, r := range s {
		if !(r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || i > 0 && (r == '-' || r >= '0' && r <= '9')) {
			return false
		}
	}
	return s != ""
}

// column is how wide the names are.
func (v *planView) column(attributes []plan.Attribute) int {
	n := 0
	for _, a := range attributes {
		n = max(n, term.Width(term.Clean(a.Path)))
	}
	if v.opt.Full {
		return min(n, v.opt.Width/2)
	}
	return min(n, max(8, min(pathColumn, v.opt.Width*2/5), v.opt.Width/3))
}

// attribute writes one name and value. Where nothing was before, before is nil.
func (v *planView) attribute(indent, column int, path string, before *string, after, note string) {
	path = term.Clean(path)
	if !v.opt.Full {
		path = clipFront(path, column)
	}
	at := indent + max(column, term.Width(path)) + 2
	if v.opt.Width-at < 16 {
		// A name that leaves no room has a line of its own.
		v.line(indent, plain(path))
		at = min(indent+2, max(0, v.opt.Width-8))
		path = ""
	}
	name := pad(path, at-indent)
	room := max(4, v.opt.Width-at)
	forced := span{term.Red, ""}
	needs := term.Width(after)
	if before != nil {
		needs += term.Width(*before) + term.Width(arrow)
	}
	if beside := "  " + note; note != "" && needs+term.Width(beside) <= room {
		forced.text, note = beside, ""
	}
	defer func() {
		if note != "" {
			v.line(at, span{term.Red, note})
		}
	}()
	if before == nil {
		if v.opt.Full && term.Width(after) > room {
			v.long(indent, at, name, after)
			return
		}
		v.line(indent, plain(name), plain(clip(after, room)), forced)
		return
	}
	if needs > room {
		if v.opt.Full {
			v.long(indent, at, name, *before)
			v.long(at, at+2, "→ ", after)
			return
		}
		*before, after = closer(*before, after, room-term.Width(arrow))
	}
	v.line(indent, plain(name), span{term.Dim, *before}, plain(arrow+after), forced)
}

// long writes a value over several lines, broken where the terminal ends.
func (v *planView) long(indent, at int, name, text string) {
	text = term.Clean(text)
	columns := max(4, v.opt.Width-at)
	for first := true; first || text != ""; first = false {
		piece, n := "", 0
		for i, r := range text {
			if n+term.RuneWidth(r) > columns {
				piece = text[:i]
				break
			}
			n += term.RuneWidth(r)
		}
		if piece == "" {
			piece = text
		}
		text = text[len(piece):]
		if first {
			v.line(indent, plain(name), plain(piece))
		} else {
			v.line(at, plain(piece))
		}
	}
}

// clipFront cuts a path to so many columns from the front: its end says which
// attribute it is.
func clipFront(s string, columns int) string {
	if term.Width(s) <= columns {
		return s
	}
	r := []rune(s)
	for len(r) > 0 && term.Width(string(r)) > columns-1 {
		r = r[1:]
	}
	return "…" + string(r)
}

// closer shortens two values to so many columns together. What they begin with in
// common goes first: the eye looks for where they differ.
func closer(before, after string, columns int) (string, string) {
	const keep = 6
	b, a := []rune(before), []rune(after)
	same := 0
	for same < len(b) && same < len(a) && b[same] == a[same] {
		same++
	}
	if same > 2*keep {
		cut := same - keep
		before, after = "…"+string(b[cut:]), "…"+string(a[cut:])
	}
	half := columns / 2
	bw, aw := term.Width(before), term.Width(after)
	switch {
	case bw+aw <= columns:
	case bw <= half:
		after = clip(after, columns-bw)
	case aw <= half:
		before = clip(before, columns-aw)
	default:
		before, after = clip(before, half), clip(after, columns-half)
	}
	return before, after
}

// value writes one side of an attribute.
func value(a plan.Attribute, x any) string {
	switch {
	case a.Sensitive:
		return "(sensitive)"
	case a.Unknown:
		return "(known after apply)"
	}
	var b strings.Builder
	compact(&b, x)
	return b.String()
}

// compact writes a value in one line. Quoting escapes whatever a terminal or a reader
// could take for something else.
func compact(b *strings.Builder, x any) {
	switch x := x.(type) {
	case nil:
		b.WriteString("null")
	case string:
		b.WriteString(strconv.Quote(x))
	case json.Number:
		b.WriteString(x.String())
	case float64:
		b.WriteString(strconv.FormatFloat(x, 'g', -1, 64))
	case []any:
		b.WriteByte('[')
		for i, e := range x {
			if i > 0 {
				b.WriteString(", ")
			}
			compact(b, e)
		}
		b.WriteByte(']')
	case map[string]any:
		b.WriteByte('{')
		for i, k := range slices.Sorted(maps.Keys(x)) {
			if i > 0 {
				b.WriteString(", ")
			}
			if identifier(k) {
				b.WriteString(k)
			} else {
				b.WriteString(strconv.Quote(k))
			}
			b.WriteString(": ")
			compact(b, x[k])
		}
		b.WriteByte('}')
	default:
		fmt.Fprint(b, x)
	}
}
