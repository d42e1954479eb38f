package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/plan"
	"github.com/stratahq/strata/internal/policy"
)

// judge asks policy about the plan of one unit.
func (e *Engine) judge(ctx context.Context, t *Target, u graph.Unit, planJSON []byte) ([]policy.Finding, error) {
	facts := policy.EnvironmentOf(t.environment())
	found, err := t.Check.Policy.Plan(ctx, policy.PlanContext{Environment: &facts, Unit: u.Addr, Layer: u.Layer, Contract: u.Contract}, planJSON)
	if err != nil {
		return nil, fmt.Errorf("judge %s: %w", u.Addr, err)
	}
	for i := range found {
		// People know resources by their address within the unit.
		found[i].Address = strings.Replace(found[i].Address, " module.this.", " ", 1)
	}
	return found, nil
}

// except marks findings about plans that an exception accepts.
func (e *Engine) except(t *Target, found []policy.Finding, now time.Time) []policy.Finding {
	out := t.Check.Policy.Except(found, t.Check.Model.Exceptions, policy.Scope{Environments: []string{t.Compiled.Graph.Environment}}, now.Format(time.DateOnly))
	// What is to be said about exceptions themselves was said with the model.
	return slices.DeleteFunc(out, func(f policy.Finding) bool { return strings.HasPrefix(f.Rule, "exception-") })
}

// planFindings turns findings into the plan's own form.
func planFindings(g *graph.Graph, fs []policy.Finding) []plan.Finding {
	var out []plan.Finding
	for _, f := range fs {
		p := plan.Finding{
			Rule: f.Rule, Severity: string(f.Severity), Denies: !f.Warn, Summary: f.Message, Detail: f.Title, File: f.File, Line: f.Line,
		}
		name, resource, _ := strings.Cut(f.Address, " ")
		a, err := addr.ParseUnit(g.Environment + "/" + name)
		if _, ok := g.Unit(a); err == nil && ok {
			p.Unit, p.Resource = a, resource
		} else {
			p.Resource = f.Address
		}
		if f.Excepted != nil {
			p.Excepted = fmt.Sprintf("%s until %s: %s", f.Excepted.Owner, f.Excepted.Expires, f.Excepted.Reason)
		}
		out = append(out, p)
	}
	return out
}

func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("digest of %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
