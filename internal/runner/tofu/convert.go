package tofu

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"

	"github.com/stratahq/strata/internal/compile/stack"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/plan"
)

// convert reads the document of `tofu show -json PLAN`. Of a plan that looks for drift
// it takes what differs between the state and the cloud.
func convert(data []byte, op plan.Operation) (*engine.Planned, error) {
	var p tfjson.Plan
	p.UseJSONNumber(true)
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	out := &engine.Planned{JSON: data, Known: map[string]json.RawMessage{}}
	declared := declaredUnknowns(&p)
	list := p.ResourceChanges
	if op == plan.Drift {
		// Its outputs are as they were, and nothing of it is for policy to judge.
		list, p.OutputChanges, out.JSON = p.ResourceDrift, nil, nil
	}
	for _, rc := range list {
		if rc.Address == stack.UnknownResource || rc.Mode == tfjson.DataResourceMode || rc.Change == nil {
			continue
		}
		c, ok := change(rc, declared[rc.Address])
		if !ok {
			continue
		}
		count(&out.Counts, c.Action)
		out.Changes = append(out.Changes, c)
	}
	sort.SliceStable(out.Changes, func(i, j int) bool { return out.Changes[i].Address < out.Changes[j].Address })
	outputsChange := false
	for name, oc := range p.OutputChanges {
		sensitive := plan.AnyTrue(oc.AfterSensitive) || plan.AnyTrue(oc.BeforeSensitive)
		if plan.AnyTrue(oc.AfterUnknown) {
			out.Outputs = append(out.Outputs, plan.Attribute{Path: name, Before: masked(oc.Before, sensitive), Unknown: true, Sensitive: sensitive})
			outputsChange = true
			continue
		}
		if !sensitive && !oc.Actions.Delete() {
			b, err := json.Marshal(oc.After)
			if err != nil {
				return nil, fmt.Errorf("read plan: output %s: %w", name, err)
			}
			out.Known[name] = b
		}
		if !oc.Actions.NoOp() {
			outputsChange = true
			out.Outputs = append(out.Outputs, plan.Attribute{Path: name, Before: masked(oc.Before, sensitive), After: masked(oc.After, sensitive), Sensitive: sensitive})
		}
	}
	slices.SortFunc(out.Outputs, func(a, b plan.Attribute) int { return strings.Compare(a.Path, b.Path) })
	out.Idle = len(out.Changes) == 0 && !outputsChange
	return out, nil
}

func masked(v any, sensitive bool) any {
	if sensitive {
		return nil
	}
	return v
}

func count(c *plan.Counts, a plan.Action) {
	switch a {
	case plan.Create:
		c.Create++
	case plan.Update:
		c.Update++
	case plan.Replace:
		c.Replace++
	case plan.Delete:
		c.Delete++
	case plan.Import:
		c.Import++
	case plan.Forget:
		c.Forget++
	case plan.Move:
		c.Move++
	}
}

var reasons = map[tfjson.ActionReason]string{
	tfjson.ActionReasonReplaceBecauseTainted:         "it was left half-made",
	tfjson.ActionReasonReplaceByRequest:              "replacing it was asked for",
	tfjson.ActionReasonReplaceByTriggers:             "something that it follows changes",
	tfjson.ActionReasonDeleteBecauseNoResourceConfig: "the module does not have it any more",
	tfjson.ActionReasonDeleteBecauseWrongRepetition:  "the module makes another number of it",
	tfjson.ActionReasonDeleteBecauseCountIndex:       "the module makes fewer of it",
	tfjson.ActionReasonDeleteBecauseEachKey:          "the module does not list it any more",
	tfjson.ActionReasonDeleteBecauseNoModule:         "the module is not called any more",
	tfjson.ActionReasonReplaceBecauseCannotUpdate:    "",
	tfjson.ActionReasonNone:                          "",
	tfjson.ActionReasonDeleteBecauseNoMoveTarget:     "it was moved to nowhere",
	tfjson.ActionReasonReadBecauseConfigUnknown:      "",
	tfjson.ActionReasonReadBecauseDependencyPending:  "",
	tfjson.ActionReasonReadBecauseCheckNested:        "",
}

func change(rc *tfjson.ResourceChange, declared map[string]bool) (plan.Change, bool) {
	c := plan.Change{Address: trim(rc.Address), Type: rc.Type, Reason: reasons[rc.ActionReason]}
	a := rc.Change.Actions
	switch {
	case a.Replace():
		c.Action = plan.Replace
	case a.Create():
		c.Action = plan.Create
	case a.Update():
		c.Action = plan.Update
	case a.Delete():
		c.Action = plan.Delete
	case a.Forget():
		c.Action = plan.Forget
	case rc.Change.Importing != nil:
		c.Action = plan.Import
	case rc.PreviousAddress != "" && rc.PreviousAddress != rc.Address:
		c.Action, c.Reason = plan.Move, "from "+trim(rc.PreviousAddress)
	default:
		return c, false
	}
	if rc.DeposedKey != "" {
		c.Address += " (deposed " + rc.DeposedKey + ")"
	}
	if c.Action == plan.Delete || c.Action == plan.Forget {
		return c, true
	}
	ch := rc.Change
	attrs, because := plan.Diff(
		plan.Values{Before: ch.Before, After: ch.After, Unknown: ch.AfterUnknown, BeforeSensitive: ch.BeforeSensitive, AfterSensitive: ch.AfterSensitive},
		// What default tags add is said by tags themselves.
		plan.DiffOptions{Create: c.Action == plan.Create, Declared: declared, Replaces: replacePaths(ch.ReplacePaths), Omit: []string{"tags_all"}},
	)
	c.Attributes = attrs
	if c.Action == plan.Replace && c.Reason == "" && len(because) > 0 {
		c.Reason = strings.Join(because, ", ") + " cannot be changed in place"
	}
	return c, true
}

// replacePaths turns paths such as ["ingress", 0, "port"] into text.
func replacePaths(paths []any) map[string]bool {
	out := map[string]bool{}
	for _, p := range paths {
		steps, ok := p.([]any)
		if !ok {
			continue
		}
		text := ""
		for _, s := range steps {
			switch s := s.(type) {
			case string:
				if text != "" {
					text += "."
				}
				text += s
			default:
				text += fmt.Sprintf("[%v]", s)
			}
		}
		out[text] = true
	}
	return out
}

// declaredUnknowns says which attributes of each resource the configuration sets
// to something that is not plain text: when such an attribute is unknown, that is
// worth saying.
func declaredUnknowns(p *tfjson.Plan) map[string]map[string]bool {
	byConfig := map[string]map[string]bool{}
	var walk func(m *tfjson.ConfigModule, prefix string)
	walk = func(m *tfjson.ConfigModule, prefix string) {
		if m == nil {
			return
		}
		for _, r := range m.Resources {
			set := map[string]bool{}
			for name, e := range r.Expressions {
				if e != nil && e.ExpressionData != nil && len(e.References) > 0 {
					set[name] = true
				}
			}
			byConfig[prefix+r.Address] = set
		}
		for name, call := range m.ModuleCalls {
			walk(call.Module, prefix+"module."+name+".")
		}
	}
	if p.Config != nil {
		walk(p.Config.RootModule, "")
	}
	out := map[string]map[string]bool{}
	for _, rc := range p.ResourceChanges {
		out[rc.Address] = byConfig[withoutKeys(rc.Address)]
	}
	return out
}

// withoutKeys removes instance keys from an address.
func withoutKeys(addr string) string {
	var b strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(addr); i++ {
		ch := addr[i]
		switch {
		case depth > 0 && ch == '\\' && quoted:
			i++
		case depth > 0 && ch == '"':
			quoted = !quoted
		case ch == '[' && !quoted:
			depth++
		case ch == ']' && !quoted:
			depth--
		case depth == 0:
			b.WriteByte(ch)
		}
	}
	return b.String()
}
