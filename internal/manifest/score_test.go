package manifest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"

	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/schemas"
)

type (
	object = map[string]any
	list   = []any
)

// examples are texts that match a pattern of Score's schema, by the pattern.
var examples = map[string]list{
	`^score\.dev/v1b1$`:                 {"score.dev/v1b1"},
	`^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$`: {"web", "a1", "a--b", strings.Repeat("a", 63)},
	`^(([a-z0-9][a-z0-9-]{0,61}[a-z0-9])(\.[a-z0-9][a-z0-9-]{0,61}[a-z0-9])*/)?[A-Za-z0-9][A-Za-z0-9._-]{0,61}[A-Za-z0-9]$`: {"ab", "example.com/Name_x.y"},
	`^[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9]$`:                  {"postgres", "S3", "a-b"},
	`^[a-z0-9]+(?:-+[a-z0-9]+)*(?:\.[a-z0-9]+(?:-+[a-z0-9]+)*)*$`: {"shared", "a.b", "a--b"},
	`^(0\.\d+|[1-9]\d*(\.\d+)?)(K|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$`: {"1", "0.5Gi", "256Mi", "3K"},
	`^\d+(?:m|\.\d+)?$`: {"1", "0.5", "500m"},
	`^0?[0-7]{3}$`:      {"0444", "755"},
	`^[^=]+$`:           {"A", "a.b", "日本", "with space"},
	`^[A-Za-z0-9_-]+$`:  {"X-A", "a_b"},
}

// wrong are values that some place or other does not take.
var wrong = list{nil, true, false, 0, 1, 80.5, 65536, -1, "", "a", "x y", "A=B", "yes", "12", strings.Repeat("a", 64), list{}, list{"x"}, list{nil}, object{}, object{"target": "/a"}, object{"x": 1}}

// scoreDrawer draws documents from a JSON Schema, with a fault in so many of a hundred
// places.
type scoreDrawer struct {
	*rand.Rand
	defs   object
	faults int
}

func (d *scoreDrawer) fault() bool { return d.IntN(100) < d.faults }

func (d *scoreDrawer) pick(from list) any { return from[d.IntN(len(from))] }

func (d *scoreDrawer) value(s object) any {
	if d.fault() {
		return d.pick(wrong)
	}
	if ref, ok := s["$ref"].(string); ok {
		s = d.defs[strings.TrimPrefix(ref, "#/$defs/")].(object)
	}
	if all, ok := s["allOf"].(list); ok {
		// Score writes "not with target, but else like this".
		v := d.value(all[1].(object))
		if m, ok := v.(object); ok && !d.fault() {
			delete(m, "target")
		}
		return v
	}
	if one, ok := s["oneOf"].(list); ok && s["type"] == nil {
		return d.value(d.pick(one).(object))
	}
	if enum, ok := s["enum"].(list); ok {
		return d.pick(enum)
	}
	switch s["type"] {
	case "object":
		return d.object(s)
	case "array":
		out := list{}
		for range d.IntN(3) {
			out = append(out, d.value(s["items"].(object)))
		}
		return out
	case "integer":
		return d.pick(list{1, 80, 65535, 443.0})
	case "boolean":
		return d.IntN(2) == 0
	}
	return d.text(s)
}

func (d *scoreDrawer) text(s object) any {
	if p, ok := s["pattern"].(string); ok {
		known, ok := examples[p]
		if !ok {
			panic("no examples of the pattern " + p)
		}
		return d.pick(known)
	}
	return d.pick(list{"x", "${resources.db.host}", "2026-01-01", "yes", "0x1F", "~", "line\nbreak\t\"'\\", "日本😀", "# no comment", "- no list", fmt.Sprint("/", d.IntN(1000))})
}

func (d *scoreDrawer) object(s object) any {
	out := object{}
	props, _ := s["properties"].(object)
	var required []string
	for _, r := range asList(s["required"]) {
		required = append(required, r.(string))
	}
	// One of the choices of oneOf and anyOf must be there; the others may not.
	choices := append(slices.Clone(asList(s["oneOf"])), asList(s["anyOf"])...)
	var not []string
	if len(choices) > 0 {
		chosen := d.IntN(len(choices))
		for i, c := range choices {
			name := c.(object)["required"].(list)[0].(string)
			if i == chosen {
				required = append(required, name)
			} else if s["oneOf"] != nil {
				not = append(not, name)
			}
		}
	}
	for _, name := range model.SortedKeys(props) {
		switch {
		case slices.Contains(required, name) && !d.fault(), d.IntN(2) == 0 && (!slices.Contains(not, name) || d.fault()):
			out[name] = d.value(props[name].(object))
		}
	}
	switch more := s["additionalProperties"].(type) {
	case object:
		names, _ := s["propertyNames"].(object)
		fewest := 0
		if _, ok := s["minProperties"]; ok && !d.fault() {
			fewest = 1
		}
		for range fewest + d.IntN(3) {
			name := fmt.Sprint("/path/", d.IntN(9))
			if names != nil {
				name = d.text(names).(string)
			}
			if d.fault() {
				name = d.pick(list{"", "a", "A=B", "-x", strings.Repeat("a", 400)}).(string)
			}
			out[name] = d.value(more)
		}
	case bool:
		if more && d.IntN(2) == 0 || !more && d.fault() {
			out[d.pick(list{"free", "extra-key", "x.y"}).(string)] = d.pick(list{"x", 7, 1.5, true, nil, list{1, nil, object{}}, object{"a": list{"b"}, "": nil}})
		}
	}
	return out
}

func asList(v any) list { l, _ := v.(list); return l }

// scoreDifferences are where decode says otherwise than Score's schema, on purpose.
var scoreDifferences = []struct {
	name, reason string
	// accepts says that decode accepts what the schema does not.
	accepts bool
	applies func(doc object) bool
	example string
}{
	{
		"team", "Strata reads metadata.team as a name; Score leaves every further field free.", false,
		func(doc object) bool {
			meta, _ := doc["metadata"].(object)
			team, ok := meta["team"]
			_, text := team.(string)
			return ok && !text
		},
		`{"apiVersion": "score.dev/v1b1", "metadata": {"name": "web", "team": 7}, "containers": {"main": {"image": "a"}}}`,
	},
	{
		"no target", "In the old list form an item without target, or with an empty one, is mounted nowhere.", false,
		func(doc object) bool {
			return anyItem(doc, func(m object, seen map[string]bool) bool { s, _ := m["target"].(string); return s == "" })
		},
		`{"apiVersion": "score.dev/v1b1", "metadata": {"name": "web"}, "containers": {"main": {"image": "a", "files": [{"content": "x"}]}}}`,
	},
	{
		"one target twice", "In the old list form of two items with one target, one would vanish.", false,
		func(doc object) bool {
			return anyItem(doc, func(m object, seen map[string]bool) bool {
				s, _ := m["target"].(string)
				was := seen[s]
				seen[s] = true
				return was
			})
		},
		`{"apiVersion": "score.dev/v1b1", "metadata": {"name": "web"}, "containers": {"main": {"image": "a", "volumes": [{"target": "/a", "source": "x"}, {"target": "/a", "source": "x"}]}}}`,
	},
	{
		"contents of a file", "That a file has exactly one content is for model.Validate to say.", true,
		func(doc object) bool {
			return anyFile(doc, func(m object) bool {
				n := 0
				for _, k := range []string{"content", "source", "binaryContent"} {
					if _, ok := m[k]; ok {
						n++
					}
				}
				return n != 1
			})
		},
		`{"apiVersion": "score.dev/v1b1", "metadata": {"name": "web"}, "containers": {"main": {"image": "a", "files": {"/a": {}}}}}`,
	},
	{
		"empty probe", "That a probe probes something is for model.Validate to say.", true,
		func(doc object) bool {
			return anyContainer(doc, func(c object) bool {
				for _, k := range []string{"livenessProbe", "readinessProbe"} {
					p, ok := c[k].(object)
					if ok && p["httpGet"] == nil && p["exec"] == nil {
						return true
					}
				}
				return false
			})
		},
		`{"apiVersion": "score.dev/v1b1", "metadata": {"name": "web"}, "containers": {"main": {"image": "a", "livenessProbe": {}}}}`,
	},
}

func anyContainer(doc object, ok func(object) bool) bool {
	containers, _ := doc["containers"].(object)
	for _, c := range containers {
		if c, is := c.(object); is && ok(c) {
			return true
		}
	}
	return false
}

func anyItem(doc object, ok func(m object, seen map[string]bool) bool) bool {
	return anyContainer(doc, func(c object) bool {
		for _, k := range []string{"files", "volumes"} {
			seen := map[string]bool{}
			for _, m := range asList(c[k]) {
				if m, is := m.(object); is && ok(m, seen) {
					return true
				}
			}
		}
		return false
	})
}

func anyFile(doc object, ok func(object) bool) bool {
	return anyContainer(doc, func(c object) bool {
		all := slices.Clone(asList(c["files"]))
		files, _ := c["files"].(object)
		for _, m := range files {
			all = append(all, m)
		}
		return slices.ContainsFunc(all, func(m any) bool { o, is := m.(object); return is && ok(o) })
	})
}

func officialScore(t *testing.T) (*jsonschema.Schema, object) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemas.ScoreV1B1))
	must(t, err)
	c := jsonschema.NewCompiler()
	must(t, c.AddResource("score.json", doc))
	s, err := c.Compile("score.json")
	must(t, err)
	return s, doc.(object)
}

// TestScoreAcceptance draws documents from Score's own schema, mends and breaks them, and
// wants decode to accept what the schema does and nothing else.
func TestScoreAcceptance(t *testing.T) {
	official, schema := officialScore(t)
	verdicts := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		// Rapid prefers small numbers; an even spread over documents is asked for here.
		seed := rapid.Uint64().Draw(t, "seed")
		faults := rapid.SampledFrom([]int{0, 1, 3}).Draw(t, "faults per hundred")
		d := &scoreDrawer{rand.New(rand.NewPCG(seed, 0)), schema["$defs"].(object), faults}
		for range 40 {
			doc, ok := d.value(schema).(object)
			if !ok {
				continue
			}
			want := official.Validate(doc) == nil
			verdicts[want]++
			for form, src := range written(t, doc) {
				l := decodeList(src, new(model.Workload))
				if l.HasErrors() != want || listedDifference(doc, want) {
					continue
				}
				t.Fatalf("the schema says valid: %v; decode of %s says:\n%v\n%s", want, form, l, src)
			}
		}
	})
	t.Logf("%d documents valid, %d not", verdicts[true], verdicts[false])
	if verdicts[true] == 0 || verdicts[false] == 0 {
		t.Errorf("the documents are all of one kind: %v", verdicts)
	}
}

func listedDifference(doc object, valid bool) bool {
	for _, d := range scoreDifferences {
		if d.accepts != valid && d.applies(doc) {
			return true
		}
	}
	return false
}

// written returns the document as JSON, which is YAML, and in block style.
func written(t *rapid.T, doc object) map[string][]byte {
	asJSON, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	// Go writes 443.0 as 443, but others do not.
	asJSON = bytes.ReplaceAll(asJSON, []byte(`:443`), []byte(`:443.0`))
	return map[string][]byte{"JSON": asJSON, "YAML": asYAML}
}

// TestScoreDifferences shows that each listed difference is one.
func TestScoreDifferences(t *testing.T) {
	official, _ := officialScore(t)
	for _, d := range scoreDifferences {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(d.example))
		must(t, err)
		valid := official.Validate(doc) == nil
		accepted := !decodeList([]byte(d.example), new(model.Workload)).HasErrors()
		if valid == accepted || accepted != d.accepts || !d.applies(doc.(object)) {
			t.Errorf("%s is no difference (any more): valid %v, accepted %v", d.name, valid, accepted)
		}
	}
}
