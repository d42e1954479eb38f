package schema_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/stratahq/strata/schemas"
)

// object and list are JSON values as they are drawn.
type (
	object = map[string]any
	list   = []any
)

// differences are where our schema says otherwise than Score's, on purpose.
var differences = []struct {
	name, reason string
	applies      func(doc object) bool
	example      func() object
}{
	{
		"metadata.team", "Strata reads it as the owning team's name, so it must be text; Score leaves every further field free.",
		func(doc object) bool {
			meta, _ := doc["metadata"].(object)
			team, ok := meta["team"]
			_, text := team.(string)
			return ok && !text
		},
		func() object {
			return object{"apiVersion": "score.dev/v1b1", "metadata": object{"name": "web", "team": 7}, "containers": object{"main": object{"image": "a"}}}
		},
	},
	{
		"list form without target", "In the deprecated list form of files and volumes, an item without target is mounted nowhere; Score's schema allows it all the same.",
		func(doc object) bool {
			containers, _ := doc["containers"].(object)
			for _, c := range containers {
				c, _ := c.(object)
				for _, field := range []string{"files", "volumes"} {
					items, _ := c[field].(list)
					for _, i := range items {
						if i, ok := i.(object); ok {
							if _, ok := i["target"]; !ok {
								return true
							}
						}
					}
				}
			}
			return false
		},
		func() object {
			return object{"apiVersion": "score.dev/v1b1", "metadata": object{"name": "web"}, "containers": object{"main": object{"image": "a", "files": list{object{"content": "x"}}}}}
		},
	},
}

func official(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemas.ScoreV1B1))
	if err != nil {
		t.Fatal(err)
	}
	return compile(t, doc)
}

// TestScoreParity draws Score-like documents, most fields good and some bad, and
// wants one verdict from Score's schema and from ours.
func TestScoreParity(t *testing.T) {
	theirs, ours := official(t), generated(t, "workload")
	verdicts := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		// Rapid prefers small numbers; what is asked for here is an even spread
		// over kinds of documents, so it draws only the seed.
		d := &drawer{rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), rapid.SampledFrom([]int{0, 2, 4}).Draw(t, "faults per hundred")}
		for range 200 {
			doc := d.score()
			want, got := theirs.Validate(doc), ours.Validate(doc)
			verdicts[want == nil]++
			if (want == nil) == (got == nil) || listed(doc) {
				continue
			}
			b, _ := json.MarshalIndent(doc, "", " ")
			t.Fatalf("Score's schema: %v\nours: %v\n%s", want, got, b)
		}
	})
	t.Logf("%d documents valid, %d not", verdicts[true], verdicts[false])
	if verdicts[true] == 0 || verdicts[false] == 0 {
		t.Errorf("the documents are all of one kind: %v", verdicts)
	}
}

func listed(doc object) bool {
	for _, d := range differences {
		if d.applies(doc) {
			return true
		}
	}
	return false
}

// TestScoreDifferences shows that each listed difference is one.
func TestScoreDifferences(t *testing.T) {
	theirs, ours := official(t), generated(t, "workload")
	for _, d := range differences {
		doc := d.example()
		if !d.applies(doc) || theirs.Validate(doc) != nil || ours.Validate(doc) == nil {
			t.Errorf("%s is no difference (any more)", d.name)
		}
	}
}

// drawer draws documents with faults in so many of a hundred places.
type drawer struct {
	*rand.Rand
	faults int
}

// fault reports whether this place gets a fault.
func (t *drawer) fault() bool { return t.IntN(100) < t.faults }

// pick draws one of good, or now and then one of bad.
func pick(t *drawer, good list, bad ...any) any {
	if len(bad) > 0 && t.fault() {
		return bad[t.IntN(len(bad))]
	}
	return good[t.IntN(len(good))]
}

// fields draws an object: each required field almost always, each other one
// sometimes, and now and then one that nobody knows.
func fields(t *drawer, required, optional map[string]func() any) object {
	out := object{}
	add := func(from map[string]func() any, always bool) {
		for _, k := range sortedKeys(from) {
			if always && !t.fault() || !always && t.IntN(2) == 0 {
				out[k] = from[k]()
			}
		}
	}
	add(required, true)
	add(optional, false)
	if t.fault() {
		out["unknown"] = true
	}
	return out
}

// entries draws a map of up to two entries.
func entries(t *drawer, keys list, badKeys list, value func() any) object {
	out := object{}
	for range t.IntN(3) {
		out[pick(t, keys, badKeys...).(string)] = value()
	}
	return out
}

func sortedKeys(m map[string]func() any) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (t *drawer) score() object {
	long := strings.Repeat("a", 63)
	names, badNames := list{"web", "a1", long}, list{"a", "-a", "Web", long + "a", "a_b", ""}
	types, badTypes := list{"postgres", "S3", "a-b"}, list{"a", "a.b", long + "a", 7}
	val := func(good list, bad ...any) func() any {
		return func() any { return pick(t, good, bad...) }
	}
	text := val(list{"x", "", "${resources.db.host}"}, 7, true, nil, list{})
	flag := val(list{true, false}, "true", 0)
	port := val(list{1, 80, 65535, 80.0}, 0, 65536, "80", 1.5, nil)
	annotations := func() any {
		return entries(t, list{"ab", "example.com/name"}, list{"a", "/x", strings.Repeat("ab.", 105) + "ab/ab", strings.Repeat("a", 64)}, text)
	}
	strs := func() any {
		if t.fault() {
			return "not a list"
		}
		out := list{}
		for range t.IntN(3) {
			out = append(out, text())
		}
		return out
	}
	probe := func() any {
		return fields(t, nil, map[string]func() any{
			"exec": func() any { return fields(t, map[string]func() any{"command": strs}, nil) },
			"httpGet": func() any {
				return fields(t, map[string]func() any{"path": text, "port": port}, map[string]func() any{
					"host": val(list{"h"}, ""), "scheme": val(list{"HTTP", "HTTPS"}, "http"),
					"httpHeaders": func() any {
						return list{fields(t, map[string]func() any{
							"name": val(list{"X-A", "a_b"}, "a b", ""), "value": val(list{"v"}, ""),
						}, nil)}
					},
				})
			},
		})
	}
	compute := func() any {
		return fields(t, nil, map[string]func() any{
			"cpu":    val(list{"1", "0.5", "500m"}, ".5", "1k", 1, "0.5m"),
			"memory": val(list{"1", "0.5Gi", "256Mi"}, "0", "01", "1m", 256),
		})
	}
	target := val(list{"/a"}, 7)
	file := func() any {
		content := []string{"content", "source", "binaryContent"}[t.IntN(3)]
		return fields(t, map[string]func() any{content: text}, map[string]func() any{
			"mode": val(list{"0444", "755"}, "0999", 444, ""), "noExpand": flag,
		})
	}
	volume := func() any {
		return fields(t, map[string]func() any{"source": text}, map[string]func() any{"path": text, "readOnly": flag})
	}
	keyed := func(item func() any) func() any {
		return func() any {
			if t.IntN(2) == 0 {
				m := entries(t, list{"/a", "/b"}, nil, item)
				for _, v := range m {
					if t.fault() {
						v.(object)["target"] = target()
					}
				}
				return m
			}
			out := list{}
			for range t.IntN(3) {
				o := item().(object)
				if !t.fault() {
					o["target"] = target()
				}
				out = append(out, o)
			}
			return out
		}
	}
	container := func() any {
		return fields(t, map[string]func() any{"image": val(list{".", "nginx:1"}, "", 7)}, map[string]func() any{
			"command": strs, "args": strs, "livenessProbe": probe, "readinessProbe": probe,
			"variables": func() any { return entries(t, list{"A", "a.b"}, list{"", "A=B"}, text) },
			"files":     keyed(file), "volumes": keyed(volume),
			"before": func() any {
				return entries(t, names, badNames, func() any {
					return fields(t, map[string]func() any{"ready": val(list{"started", "healthy", "complete"}, "done")}, nil)
				})
			},
			"resources": func() any {
				return fields(t, nil, map[string]func() any{"limits": compute, "requests": compute})
			},
		})
	}
	resource := func() any {
		return fields(t, map[string]func() any{"type": val(types, badTypes...)}, map[string]func() any{
			"class": val(types, badTypes...),
			"id":    val(list{"shared", "a.b", "a--b"}, "a", long+"a", "a.", "A"),
			"metadata": func() any {
				return fields(t, nil, map[string]func() any{"annotations": annotations, "free": text})
			},
			"params": val(list{object{}, object{"a": list{1, nil}}}, "x", nil),
		})
	}
	doc := fields(t, map[string]func() any{
		"apiVersion": val(list{"score.dev/v1b1"}, "score.dev/v1b2", nil),
		"metadata": func() any {
			return fields(t, map[string]func() any{"name": val(names, badNames...)},
				map[string]func() any{"annotations": annotations, "team": val(list{"pay"}, 7), "free": text})
		},
		"containers": func() any {
			m := entries(t, names, badNames, container)
			if len(m) == 0 && !t.fault() {
				m["main"] = container()
			}
			return m
		},
	}, map[string]func() any{
		"service": func() any {
			return fields(t, nil, map[string]func() any{"ports": func() any {
				return entries(t, names, badNames, func() any {
					return fields(t, map[string]func() any{"port": port}, map[string]func() any{"protocol": val(list{"TCP", "UDP"}, "tcp", "SCTP"), "targetPort": port})
				})
			}})
		},
		"resources": func() any { return entries(t, names, badNames, resource) },
	})
	return doc
}
