package tofu

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/stratahq/strata/internal/compile/stack"
	"github.com/stratahq/strata/internal/engine"
)

// erroredState is where OpenTofu leaves a state that it could not write to its backend,
// encrypted as the backend's would have been.
const erroredState = "errored.tfstate"

// outdated is how OpenTofu refuses a state that is older than the backend's, or none of
// the same.
var outdated = regexp.MustCompile(`(?i)serial|lineage`)

// push writes the state that an apply could not write to the backend. It returns a
// sentence that says so, or nothing where no such state is. OpenTofu's own push reads
// no encrypted file, so the state is read as that of a local backend first; between the
// two it is in memory only.
func (r *Runner) push(ctx context.Context, t engine.Task, dir string) (string, error) {
	file := filepath.Join(dir, erroredState)
	content, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", failure(t, "recover", result{}, nil, err)
	case !json.Valid(content):
		// The disk that had no room for the state had none for this either.
		return "the state that an earlier run could not write is not whole; what it made is looked for instead", remove(file)
	}
	local := t
	if local.Root, err = stack.WithLocalState(t.Root, file); err != nil {
		return "", failure(t, "recover", result{}, nil, err)
	}
	if err := r.prepare(ctx, local, dir); err != nil {
		return "", err
	}
	// A moment's work that a kill may cut off: the file stays until all is done.
	pulled, err := r.run(ctx, command{dir: dir, args: []string{"state", "pull"}, limit: r.cfg.PlanTimeout, grace: 10 * time.Second})
	if err != nil || pulled.code != 0 || pulled.signal != 0 {
		return "", r.fail(t, "recover", pulled, nil, err)
	}
	if err := r.prepare(ctx, t, dir); err != nil {
		return "", err
	}
	res, err := r.write(ctx, t, command{
		dir: dir, args: []string{"state", "push", "-no-color", r.lockTimeout(), "-"}, in: pulled.out, limit: r.cfg.PlanTimeout, grace: graceApply,
	})
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err == nil && res.code == 1 && outdated.Match(res.err):
		return "its state was written by somebody else since; the one that an earlier run could not write is out of date", remove(file)
	case err != nil || res.code != 0 || res.signal != 0:
		return "", r.fail(t, "recover", res, nil, err)
	}
	return "the state that an earlier run could not write is in its place now", remove(file)
}
