package tofu

import (
	"context"
	"path/filepath"
	"time"

	"github.com/stratahq/strata/internal/compile/stack"
	"github.com/stratahq/strata/internal/engine"
)

// Import takes an object that is there already into the state of a unit. resource is
// its address within the unit's module, id what the provider knows it by. The error
// is an *engine.Failure.
func (r *Runner) Import(ctx context.Context, t engine.Task, resource, id string) error {
	return r.maintain(ctx, t, "import", "import", "-input=false", "-no-color", r.lockTimeout(), moduleCall+resource, id)
}

// ForceUnlock removes the lock with an id from the state of a unit. The error is an
// *engine.Failure.
func (r *Runner) ForceUnlock(ctx context.Context, t engine.Task, id string) error {
	return r.maintain(ctx, t, "unlock", "force-unlock", "-force", "-no-color", id)
}

// Move takes the state of a unit from a local file to the backend of the task's root.
// A move that was cut off is done by moving again. The error is an *engine.Failure.
func (r *Runner) Move(ctx context.Context, t engine.Task, from string) error {
	dir := r.dir(t.Unit.Addr)
	held, err := r.hold(ctx, t, "move")
	if err != nil {
		return err
	}
	defer held.Close()
	before := t
	if before.Root, err = stack.WithLocalState(t.Root, from); err != nil {
		return failure(t, "move", result{}, nil, err)
	}
	if err := r.prepare(ctx, before, dir); err != nil {
		return err
	}
	// From here on the folder is of neither backend until the move is done.
	if err := remove(filepath.Join(dir, stampFile)); err != nil {
		return failure(t, "move", result{}, nil, err)
	}
	if err := writeFile(filepath.Join(dir, stack.FileName), t.Root); err != nil {
		return failure(t, "move", result{}, nil, err)
	}
	res, err := r.write(ctx, t, command{
		dir: dir, args: []string{"init", "-json", "-input=false", "-migrate-state", "-force-copy"}, limit: r.cfg.PlanTimeout, grace: time.Minute,
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil || res.code != 0 || res.signal != 0 {
		return r.fail(t, "move", res, problems(res.out), err)
	}
	return nil
}

func (r *Runner) maintain(ctx context.Context, t engine.Task, stage string, args ...string) error {
	dir := r.dir(t.Unit.Addr)
	held, err := r.hold(ctx, t, stage)
	if err != nil {
		return err
	}
	defer held.Close()
	if err := r.prepare(ctx, t, dir); err != nil {
		return err
	}
	res, err := r.write(ctx, t, command{dir: dir, args: args, limit: r.cfg.PlanTimeout, grace: time.Minute})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil || res.code != 0 || res.signal != 0 {
		return r.fail(t, stage, res, problems(res.out), err)
	}
	return remove(filepath.Join(dir, applyLog))
}

// Move is Runner.Move.
func (l *Lazy) Move(ctx context.Context, t engine.Task, from string) error {
	r, err := l.get(t, "move")
	if err != nil {
		return err
	}
	return r.Move(ctx, t, from)
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
