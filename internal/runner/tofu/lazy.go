package tofu

import (
	"context"
	"sync"

	"github.com/stratahq/strata/internal/engine"
)

// Lazy is a Runner that looks for its executable when it is first needed: a plan
// without changes needs none.
type Lazy struct {
	once   sync.Once
	cfg    Config
	find   func() (Binary, error)
	runner *Runner
	err    error
}

var _ engine.Runner = (*Lazy)(nil)

// NewLazy returns a runner with the configuration cfg, whose Binary and Version
// come from find.
func NewLazy(cfg Config, find func() (Binary, error)) *Lazy { return &Lazy{cfg: cfg, find: find} }

func (l *Lazy) get(t engine.Task, stage string) (*Runner, error) {
	l.once.Do(func() {
		b, err := l.find()
		if err != nil {
			l.err = err
			return
		}
		cfg := l.cfg
		cfg.Binary, cfg.Version = b.Path, b.Version
		l.runner = New(cfg)
	})
	if l.err != nil {
		return nil, failure(t, stage, result{}, nil, l.err)
	}
	return l.runner, nil
}

// Plan implements engine.Runner.
func (l *Lazy) Plan(ctx context.Context, t engine.Task) (*engine.Planned, error) {
	r, err := l.get(t, "plan")
	if err != nil {
		return nil, err
	}
	return r.Plan(ctx, t)
}

// Apply implements engine.Runner.
func (l *Lazy) Apply(ctx context.Context, t engine.Task, saved string) (*engine.Applied, error) {
	r, err := l.get(t, "apply")
	if err != nil {
		return nil, err
	}
	return r.Apply(ctx, t, saved)
}

// Recover implements engine.Runner.
func (l *Lazy) Recover(ctx context.Context, t engine.Task) ([]string, error) {
	r, err := l.get(t, "recover")
	if err != nil {
		return nil, err
	}
	return r.Recover(ctx, t)
}

// Done implements engine.Runner.
func (l *Lazy) Done(t engine.Task, gone bool) error {
	r, err := l.get(t, "apply")
	if err != nil {
		return err
	}
	return r.Done(t, gone)
}
