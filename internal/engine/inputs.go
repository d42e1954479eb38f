package engine

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/graph"
)

// outputs are the outputs of one unit as far as they are known.
type outputs map[string]json.RawMessage

// has reports whether anything is known, as it is of every unit that was applied.
func (o outputs) has() bool { return len(o) > 0 }

// ClusterKubeconfig is where the values of a kube unit's task name the kubeconfig file
// of the environment's cluster.
const ClusterKubeconfig = "cluster.kubeconfig"

// inputs are the values that flow into a unit from others.
type inputs struct {
	values  map[string]any // by variable, or by UNIT.OUTPUT for kube units
	unknown []string       // variables without a value, sorted
	waits   []string       // the outputs those wait for, as UNIT.OUTPUT, sorted
	digest  string
}

// resolve gathers a unit's inputs. known returns what is known of another unit.
func (t *Target) resolve(u graph.Unit, known func(addr.Unit) outputs) (inputs, error) {
	in := inputs{values: map[string]any{}}
	sum := map[string]json.RawMessage{}
	take := func(name string, ref graph.Ref) error {
		raw, ok := known(ref.Unit)[ref.Output]
		if !ok {
			in.unknown = append(in.unknown, name)
			in.waits = append(in.waits, ref.Unit.Name+"."+ref.Output)
			sum[name] = json.RawMessage(`{"unknown":true}`)
			return nil
		}
		if string(raw) == "null" {
			return &Failure{
				Unit: u.Addr, Stage: "plan", Cause: CauseInput,
				Problems: []Problem{{Summary: fmt.Sprintf("output %s of %s is null, and %s needs it", ref.Output, ref.Unit.Name, u.Addr.Name)}},
				Next:     "Have the module of " + ref.Unit.Name + " give a value, then plan again.",
			}
		}
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("output %s of %s: %w", ref.Output, ref.Unit, err)
		}
		in.values[name] = v
		sum[name] = raw
		return nil
	}
	if u.Kind == graph.Tofu {
		for _, v := range t.Compiled.Variables(u) {
			if err := take(v.Name, v.Ref); err != nil {
				return in, err
			}
		}
	} else {
		if !t.Offline {
			up := addr.Foundation(u.Addr.Env, "cluster")
			if err := take(ClusterKubeconfig, graph.Ref{Unit: up, Output: "kubeconfig", Type: "string"}); err != nil {
				return in, err
			}
			// Another cluster of the same name has nothing of what was applied.
			for _, name := range []string{"endpoint", "certificate_authority"} {
				if raw, ok := known(up)[name]; ok {
					sum["cluster."+name] = raw
				}
			}
		}
		for _, b := range u.Bindings {
			for _, ref := range b.Refs() {
				if ref.Secret && !known(ref.Unit).has() {
					in.unknown = append(in.unknown, ref.Unit.Name+"."+ref.Output)
					in.waits = append(in.waits, ref.Unit.Name+"."+ref.Output)
					sum[ref.Unit.Name+"."+ref.Output] = json.RawMessage(`{"unknown":true}`)
				}
				// A secret has no value here; the binding says where it lies.
				if ref.Secret {
					continue
				}
				if err := take(ref.Unit.Name+"."+ref.Output, ref); err != nil {
					return in, err
				}
			}
		}
	}
	slices.Sort(in.unknown)
	in.unknown = slices.Compact(in.unknown)
	slices.Sort(in.waits)
	in.waits = slices.Compact(in.waits)
	var err error
	in.digest, err = digest(sum)
	return in, err
}

// existing returns the outputs of a unit that is there already.
func existing(u graph.Unit) (outputs, error) {
	out := outputs{}
	for name, v := range u.Known {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("%s: output %s: %w", u.Addr, name, err)
		}
		out[name] = b
	}
	return out, nil
}
