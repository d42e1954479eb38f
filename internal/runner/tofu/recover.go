package tofu

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	tfjson "github.com/hashicorp/terraform-json"

	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/plan"
)

// Adopter finds objects that a cloud has and a state has not, because whoever
// made them was killed before it could write that down.
type Adopter interface {
	// ImportID returns the id by which OpenTofu imports an object of type typ,
	// made of its configured attributes; false when those do not say it.
	ImportID(typ string, attrs map[string]any) (string, bool)
	// Lookup returns a root that lists what the cloud has of the unit whose root
	// is given, as the output "found"; false when the cloud has no such list.
	Lookup(unit string, root []byte) ([]byte, bool)
	// Match finds the id of an object of type typ with the given Name tag in
	// that output.
	Match(found json.RawMessage, typ, name string) (string, bool)
}

// rounds bounds how often recovery plans again: objects that are made of others
// (a route of a route table) can be named only when those are known.
const rounds = 6

// Recover implements engine.Runner. It adopts only what the log of the killed
// process says was being created, and only what carries the unit's tags where it
// can carry tags.
func (r *Runner) Recover(ctx context.Context, t engine.Task) ([]string, error) {
	dir := r.dir(t.Unit.Addr)
	if _, err := os.Stat(filepath.Join(dir, pending)); err != nil {
		return nil, nil //nolint:nilerr // nothing was under way here
	}
	held, err := r.hold(ctx, t, "recover")
	if err != nil {
		return nil, err
	}
	defer held.Close()
	var notes []string
	pushed, err := r.push(ctx, t, dir)
	if err != nil {
		return nil, err
	}
	if pushed != "" {
		notes = append(notes, pushed)
	}
	j := readLog(filepath.Join(dir, applyLog))
	suspects := map[string]bool{}
	for _, a := range j.started {
		if j.action[a] == "create" && !j.refused(a) {
			suspects[a] = true
		}
	}
	if len(suspects) == 0 || r.cfg.Adopter == nil || t.Provisional() || !hasModule(t.Root) {
		return notes, nil
	}
	t.Operation = plan.Apply
	tried := map[string]bool{}
	var found json.RawMessage
	looked := false
	for range rounds {
		missing, err := r.missing(ctx, t, dir, suspects)
		if err != nil {
			return notes, err
		}
		progress := false
		for _, rc := range missing {
			after, _ := rc.Change.After.(map[string]any)
			id, ok := r.cfg.Adopter.ImportID(rc.Type, after)
			if name := nameTag(after); !ok && name != "" {
				if !looked {
					looked = true
					if found, err = r.lookup(ctx, t); err != nil {
						return notes, err
					}
				}
				id, ok = r.cfg.Adopter.Match(found, rc.Type, name)
			}
			if !ok || tried[rc.Address+" "+id] {
				continue
			}
			tried[rc.Address+" "+id] = true
			adopted, err := r.adopt(ctx, t, dir, rc.Address, id)
			if err != nil {
				return notes, err
			}
			if adopted {
				progress = true
				notes = append(notes, fmt.Sprintf("%s (%s) had been created before the run was killed, and is known again", trim(rc.Address), id))
			}
		}
		if !progress {
			break
		}
	}
	return notes, nil
}

// missing lists the suspects that a plan would create: the state does not have
// them.
func (r *Runner) missing(ctx context.Context, t engine.Task, dir string, suspects map[string]bool) ([]*tfjson.ResourceChange, error) {
	p, err := r.plan(ctx, t, dir)
	if err != nil {
		return nil, err
	}
	var doc tfjson.Plan
	if err := json.Unmarshal(p.JSON, &doc); err != nil {
		return nil, failure(t, "recover", result{}, nil, err)
	}
	var out []*tfjson.ResourceChange
	for _, rc := range doc.ResourceChanges {
		if rc.Mode == tfjson.ManagedResourceMode && rc.Change != nil && rc.Change.Actions.Create() && suspects[rc.Address] {
			out = append(out, rc)
		}
	}
	return out, nil
}

func nameTag(attrs map[string]any) string {
	tags, _ := attrs["tags"].(map[string]any)
	name, _ := tags["Name"].(string)
	return name
}

// adopt imports one object. It is false when there is no such object, or when it
// is somebody else's.
func (r *Runner) adopt(ctx context.Context, t engine.Task, dir, address, id string) (bool, error) {
	res, err := r.write(ctx, t, command{
		dir: dir, args: []string{"import", "-input=false", "-no-color", r.lockTimeout(), address, id},
		limit: r.cfg.PlanTimeout, grace: graceApply,
	})
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil || res.signal != 0 || res.late:
		return false, r.fail(t, "recover", res, nil, err)
	case res.code != 0:
		return false, nil // there is none: the plan creates it
	}
	ours, err := r.ours(ctx, t, dir, address)
	if err != nil || ours {
		return ours, err
	}
	res, err = r.write(ctx, t, command{dir: dir, args: []string{"state", "rm", address}, limit: r.cfg.PlanTimeout, grace: graceApply})
	if err != nil || res.code != 0 {
		return false, r.fail(t, "recover", res, nil, err)
	}
	note(t, fmt.Sprintf("%s (%s) is there but does not carry this unit's tags; it was left alone", trim(address), id))
	return false, nil
}

// ours reports whether an object in the state carries the unit's tags, or cannot
// carry any.
func (r *Runner) ours(ctx context.Context, t engine.Task, dir, address string) (bool, error) {
	res, err := r.run(ctx, command{dir: dir, args: []string{"show", "-json"}, limit: r.cfg.PlanTimeout, grace: 10 * time.Second})
	if err != nil || res.code != 0 {
		return false, r.fail(t, "recover", res, problems(res.out), err)
	}
	var doc struct {
		Values struct {
			Root stateModule `json:"root_module"`
		} `json:"values"`
	}
	if err := json.Unmarshal(res.out, &doc); err != nil {
		return false, failure(t, "recover", result{}, nil, err)
	}
	values, _ := doc.Values.Root.find(address)
	for _, attr := range []string{"tags_all", "labels", "tags"} {
		if tags, ok := values[attr].(map[string]any); ok {
			return tags["unit"] == t.Unit.Addr.Name && tags["environment"] == t.Unit.Addr.Env, nil
		}
	}
	return true, nil
}

type stateModule struct {
	Resources []struct {
		Address string         `json:"address"`
		Values  map[string]any `json:"values"`
	} `json:"resources"`
	Children []stateModule `json:"child_modules"`
}

func (m stateModule) find(address string) (map[string]any, bool) {
	for _, r := range m.Resources {
		if r.Address == address {
			return r.Values, true
		}
	}
	for _, c := range m.Children {
		if v, ok := c.find(address); ok {
			return v, true
		}
	}
	return nil, false
}

// lookup asks the cloud what it has of the unit.
func (r *Runner) lookup(ctx context.Context, t engine.Task) (json.RawMessage, error) {
	root, ok := r.cfg.Adopter.Lookup(t.Unit.Addr.Name, t.Root)
	if !ok {
		return nil, nil
	}
	dir := filepath.Join(r.cfg.Dir, "lookup", strings.ReplaceAll(t.Unit.Addr.Name, "/", "_"))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, failure(t, "recover", result{}, nil, err)
	}
	defer os.RemoveAll(dir)
	look := t
	look.Root, look.Operation = root, plan.Apply
	if err := r.prepare(ctx, look, dir); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "plan")
	for _, args := range [][]string{{"plan", "-input=false", "-no-color", "-lock=false", "-out=" + file}, {"show", "-json", file}} {
		res, err := r.run(ctx, command{dir: dir, args: args, limit: r.cfg.PlanTimeout, grace: 10 * time.Second})
		if err != nil || res.code != 0 {
			return nil, r.fail(t, "recover", res, problems(res.out), err)
		}
		if slices.Contains(args, "show") {
			var doc struct {
				Planned struct {
					Outputs map[string]struct{ Value json.RawMessage } `json:"outputs"`
				} `json:"planned_values"`
			}
			if err := json.Unmarshal(res.out, &doc); err != nil {
				return nil, failure(t, "recover", result{}, nil, err)
			}
			return doc.Planned.Outputs["found"].Value, nil
		}
	}
	return nil, nil
}
