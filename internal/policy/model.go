package policy

import (
	"context"
	"fmt"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/model"
)

// ModelInput is the whole description that Model judges.
type ModelInput struct {
	Platform     *model.Platform
	Environments []EnvironmentInput
}

// EnvironmentInput is an environment with the workloads that run in it.
type EnvironmentInput struct {
	Environment *model.Environment
	Workloads   []WorkloadInput
}

// WorkloadInput is a workload as it is in one environment.
type WorkloadInput struct {
	Workload *model.Workload
	// Resources are the workload's resources after the environment's defaults
	// and overrides; nil means the workload's own.
	Resources map[string]model.Resource
}

// modelDocument is the input of a model rule.
type modelDocument struct {
	Kind        string             `json:"kind"`
	Platform    *model.Platform    `json:"platform,omitempty"`
	Environment *model.Environment `json:"environment,omitempty"`
	Workload    *model.Workload    `json:"workload,omitempty"`
}

// The kinds of input of model rules.
const (
	kindPlatform    = "Platform"
	kindEnvironment = "Environment"
	kindWorkload    = "Workload"
)

// Model judges the platform, each environment and each workload in each
// environment.
func (s *Set) Model(ctx context.Context, in ModelInput) ([]Finding, error) {
	var out []Finding
	judge := func(kind, env, address, file string, doc modelDocument) error {
		doc.Kind, doc.Platform = kind, in.Platform
		hits, err := s.judge(ctx, StageModel, kind, document{value: &doc})
		if err != nil {
			return fmt.Errorf("judge %s %s: %w", kind, address, err)
		}
		for _, h := range hits {
			out = append(out, h.finding(env, address, file, 0))
		}
		return nil
	}
	if in.Platform != nil {
		if err := judge(kindPlatform, "", "platform", in.Platform.Source.File, modelDocument{}); err != nil {
			return nil, err
		}
	}
	for _, e := range in.Environments {
		name := e.Environment.Metadata.Name
		if err := judge(kindEnvironment, name, "environment", e.Environment.Source.File, modelDocument{Environment: e.Environment}); err != nil {
			return nil, err
		}
		for _, w := range e.Workloads {
			merged := w.Workload
			if w.Resources != nil {
				m := *w.Workload
				m.Resources = w.Resources
				merged = &m
			}
			address := addr.Workload(name, w.Workload.Metadata.Name).Name
			err := judge(kindWorkload, name, address, w.Workload.Source.File, modelDocument{Environment: e.Environment, Workload: merged})
			if err != nil {
				return nil, err
			}
		}
	}
	SortFindings(out)
	return out, nil
}
