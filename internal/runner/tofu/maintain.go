package tofu

import (
	"context"
	"path/filepath"
	"time"

	"github.com/stratahq/strata/internal/engine"
)

// Import takes an object that is there already into the state of a unit. resource is
// its address within the unit's module, id what the provider knows it by. The error
// is an *engine.Failure.
func (r *Runner) Import(ctx context.Context, t engine.Task, resource, id string) error {
	return r.maintain(ctx, t, "import", "import", "-input=false", "-no-color", "-lock-timeout=20s", moduleCall+resource, id)
}

// ForceUnlock removes the lock with an id from the state of a unit. The error is an
// *engine.Failure.
func (r *Runner) ForceUnlock(ctx context.Context, t engine.Task, id string) error {
	return r.maintain(ctx, t, "unlock", "force-unlock", "-force", "-no-color", id)
}

func (r *Runner) maintain(ctx context.Context, t engine.Task, stage string, args ...string) error {
	dir := r.dir(t.Unit.Addr)
	held, err := hold(ctx, dir, func(s string) { note(t, s) })
	if err != nil {
		return failure(t, stage, result{}, nil, err)
	}
	defer held.Close()
	if err := r.prepare(ctx, t, dir); err != nil {
		return err
	}
	res, err := r.run(ctx, command{dir: dir, args: args, limit: r.cfg.PlanTimeout, grace: time.Minute})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil || res.code != 0 || res.signal != 0 {
		return r.fail(t, stage, res, problems(res.out), err)
	}
	return remove(filepath.Join(dir, applyLog))
}

// Import is Runner.Import.
func (l *Lazy) Import(ctx context.Context, t engine.Task, resource, id string) error {
	r, err := l.get(t, "import")
	if err != nil {
		return err
	}
	return r.Import(ctx, t, resource, id)
}

// ForceUnlock is Runner.ForceUnlock.
func (l *Lazy) ForceUnlock(ctx context.Context, t engine.Task, id string) error {
	r, err := l.get(t, "unlock")
	if err != nil {
		return err
	}
	return r.ForceUnlock(ctx, t, id)
}
