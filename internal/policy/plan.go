package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/model"
)

// PlanContext says what a plan is of.
type PlanContext struct {
	// Environment is nil for a plan that belongs to none.
	Environment *Environment
	// Unit is zero for a plan that belongs to none.
	Unit  addr.Unit
	Layer model.Layer
	// Contract is what the unit provisions, such as postgres; empty for none.
	Contract string
	// File is where the plan comes from, for the findings.
	File string
}

// planFacts is input.strata for a plan.
type planFacts struct {
	Environment *Environment `json:"environment,omitempty"`
	Unit        string       `json:"unit,omitempty"`
	Layer       model.Layer  `json:"layer,omitempty"`
	Contract    string       `json:"contract,omitempty"`
}

// maxPlan bounds a plan's JSON. A root of a thousand resources has a few MiB.
const maxPlan = 256 << 20

// DecodePlan reads the output of `tofu show -json PLAN`.
func DecodePlan(data []byte) (map[string]any, error) {
	if len(data) > maxPlan {
		return nil, fmt.Errorf("the plan has %d bytes; at most %d are read", len(data), maxPlan)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var plan map[string]any
	if err := d.Decode(&plan); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("decode plan: there is more after the plan's JSON object")
	}
	if v, ok := plan["format_version"].(string); !ok || v == "" {
		return nil, errors.New(`decode plan: no "format_version"; give the output of "tofu show -json PLANFILE"`)
	}
	changes, ok := plan["resource_changes"]
	if _, isList := changes.([]any); ok && changes != nil && !isList {
		return nil, errors.New(`decode plan: "resource_changes" is not a list`)
	}
	return plan, nil
}

// Plan judges an OpenTofu plan, given as the JSON of `tofu show -json`.
func (s *Set) Plan(ctx context.Context, pc PlanContext, planJSON []byte) ([]Finding, error) {
	plan, err := DecodePlan(planJSON)
	if err != nil {
		return nil, err
	}
	facts := planFacts{Environment: pc.Environment, Layer: pc.Layer, Unit: pc.Unit.Name, Contract: pc.Contract}
	hits, err := s.judge(ctx, StagePlan, "", document{value: plan, facts: &facts})
	if err != nil {
		return nil, fmt.Errorf("judge plan of %s: %w", pc.Unit, err)
	}
	env := pc.Unit.Env
	if env == "" && pc.Environment != nil {
		env = pc.Environment.Name
	}
	var out []Finding
	for _, h := range hits {
		out = append(out, h.finding(env, pc.Unit.Name, pc.File, 0))
	}
	SortFindings(out)
	return out, nil
}
