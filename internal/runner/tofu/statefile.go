package tofu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/stratahq/strata/internal/compile/stack"
	"github.com/stratahq/strata/internal/engine"
)

// kept is the ending of the copy of a local state, as it was before a process that
// writes it began. It lies beside the state.
const kept = ".before"

// localState is the absolute name of the file that a root in dir keeps its state in, or
// nothing where a backend elsewhere has it, which replaces a state as a whole.
func localState(root []byte, dir string) (string, error) {
	file, err := stack.LocalState(root)
	if err == nil && file != "" && !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	return file, err
}

// write runs a command that writes the state of t. OpenTofu empties the file of a local
// state before it works out what to write there, so a process that is killed in between,
// or that finds the disk full, has forgotten all that the unit is made of. A copy of what
// was there is kept until the state is whole again; what the process made meanwhile is in
// its log.
func (r *Runner) write(ctx context.Context, t engine.Task, c command) (result, error) {
	state, err := localState(t.Root, c.dir)
	if err != nil {
		return result{}, err
	}
	if state == "" {
		return r.run(ctx, c)
	}
	content, err := os.ReadFile(state)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return result{}, err
	}
	if err := os.MkdirAll(filepath.Dir(state), 0o700); err != nil {
		return result{}, fmt.Errorf("keep a copy of the state: %w", err)
	}
	if err := writeFile(state+kept, content); err != nil {
		return result{}, fmt.Errorf("keep a copy of the state: %w", err)
	}
	res, err := r.run(ctx, c)
	return res, errors.Join(err, mend(state))
}

// mend puts the copy of a local state in its place if the state is not whole, and removes
// it otherwise. No process may be at work on that state. Nothing happens without a copy.
func mend(state string) error {
	old, err := os.ReadFile(state + kept)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	now, err := os.ReadFile(state)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch {
	case json.Valid(now): // encrypted or not, a state is one JSON object
		return remove(state + kept)
	case len(old) == 0: // there was none
		return remove(state, state+kept)
	default:
		// It needs no room: the disk may be full.
		return os.Rename(state+kept, state)
	}
}

// hold is hold for a task: whoever holds its folder finds a state that is whole. It
// returns a *engine.Failure of the given stage.
func (r *Runner) hold(ctx context.Context, t engine.Task, stage string) (*os.File, error) {
	dir := r.dir(t.Unit.Addr)
	held, err := hold(ctx, dir, func(s string) { note(t, s) })
	if err != nil {
		return nil, failure(t, stage, result{}, nil, err)
	}
	state, err := localState(t.Root, dir)
	if err == nil && state != "" {
		err = mend(state)
	}
	if err != nil {
		return nil, failure(t, stage, result{}, nil, errors.Join(err, held.Close()))
	}
	return held, nil
}
