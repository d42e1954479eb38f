package policy

import (
	"maps"
	"slices"
	"strings"
)

// shape says which parts of an input a set of rules can read. Everything
// outside it cannot change what the rules say, which is what makes remembering
// their answers by the value of the shape alone sound.
type shape struct {
	// whole: the value and all below it may be read.
	whole bool
	// each is the shape of every element, where elements are read by a
	// variable or an index.
	each *shape
	// keys are the shapes of named members.
	keys map[string]*shape
	// prefixes and suffixes are what a text is compared with by startswith and
	// endswith, when nothing else is read of it.
	prefixes, suffixes []string
	// shown: the value may be put into messages, but decides nothing.
	shown bool
	// order holds the sorted keys once the shape is sealed.
	order []string
}

var wholeShape = &shape{whole: true}

func (s *shape) key(k string) *shape {
	if c := s.keys[k]; c != nil {
		return c
	}
	if s.keys == nil {
		s.keys = map[string]*shape{}
	}
	c := &shape{}
	s.keys[k] = c
	return c
}

func (s *shape) elem() *shape {
	if s.each == nil {
		s.each = &shape{}
	}
	return s.each
}

// merge adds what o reads to s.
func (s *shape) merge(o *shape) {
	s.whole = s.whole || o.whole
	s.shown = s.shown || o.shown
	s.prefixes = append(s.prefixes, o.prefixes...)
	s.suffixes = append(s.suffixes, o.suffixes...)
	if o.each != nil {
		s.elem().merge(o.each)
	}
	for k, c := range o.keys {
		s.key(k).merge(c)
	}
}

// seal makes the shape ready for projection: a member that is read both by name
// and as "any element" gets the union, and nothing is kept below a whole value.
func (s *shape) seal() {
	// One text cannot stand for all that have both the prefix and the suffix.
	s.whole = s.whole || len(s.prefixes) > 0 && len(s.suffixes) > 0
	if s.whole {
		*s = shape{whole: true}
		return
	}
	if s.each != nil {
		for _, c := range s.keys {
			c.merge(s.each)
		}
		s.each.seal()
	}
	for _, c := range s.keys {
		c.seal()
	}
	s.order = slices.Sorted(maps.Keys(s.keys))
}

// reveal reads whole what is shown in messages, and reports whether there is any.
func (s *shape) reveal() bool {
	found := s.shown && !s.whole
	s.whole = s.whole || s.shown
	if s.each != nil {
		found = s.each.reveal() || found
	}
	for _, c := range s.keys {
		found = c.reveal() || found
	}
	return found
}

// text is a text that the rules cannot tell from v: the longest prefix (suffix)
// that v has of those that are asked for, for it has all shorter ones, too.
func (s *shape) text(v string) string {
	out := ""
	for _, p := range s.prefixes {
		if len(p) > len(out) && strings.HasPrefix(v, p) {
			out = p
		}
	}
	for _, p := range s.suffixes {
		if len(p) > len(out) && strings.HasSuffix(v, p) {
			out = p
		}
	}
	return out
}

// paths lists the leaves, for grouping and for people.
func (s *shape) paths(prefix string, yield func(string)) {
	if s.each == nil && len(s.keys) == 0 {
		if len(s.prefixes)+len(s.suffixes) > 0 && !s.whole {
			prefix += "~" // tells its kind from a whole text
		}
		yield(prefix)
		return
	}
	for _, k := range slices.Sorted(maps.Keys(s.keys)) {
		s.keys[k].paths(prefix+"."+k, yield)
	}
	if s.each != nil {
		s.each.paths(prefix+".*", yield)
	}
}

// volatile are the members that differ from one workload to the next. Rules
// that read the same volatile members are judged together; the rest can then be
// answered from memory. The list only decides how often memory helps.
var volatile = map[string]bool{
	"image": true, "env": true, "envFrom": true, "args": true, "command": true, "labels": true, "annotations": true,
	"data": true, "stringData": true, "hostnames": true, "hosts": true, "variables": true, "files": true, "team": true,
	"serviceAccountName": true, "nodeName": true, "params": true,
}

// signature names the volatile parts of the shape.
func (s *shape) signature() string {
	var out []string
	s.paths("", func(p string) {
		if p == "" {
			out = append(out, "*")
			return
		}
		for part := range strings.SplitSeq(p, ".") {
			if volatile[part] || strings.HasSuffix(p, "metadata.name") || strings.HasSuffix(p, "metadata.namespace") {
				out = append(out, p)
				return
			}
		}
	})
	slices.Sort(out)
	return strings.Join(slices.Compact(out), " ")
}
