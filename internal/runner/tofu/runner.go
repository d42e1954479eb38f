package tofu

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/compile"
	"github.com/stratahq/strata/internal/compile/stack"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/plan"
)

// Config is what the runner needs to know of an environment.
type Config struct {
	// Binary is the executable; Version its version.
	Binary, Version string
	// Dir is the environment's working folder: stacks/ and modules/ lie there.
	Dir string
	// Saved is a folder for saved plans, which others do not write to.
	Saved string
	// Env is the environment of every process; see Environ.
	Env []string
	// CLIConfig is the CLI configuration file of every process.
	CLIConfig string
	// Providers stands for the providers that this program serves itself: another
	// text means others.
	Providers string
	// StandIns says that stand-ins play the clouds, which know only some types.
	StandIns bool
	// Lock is the dependency lock file that all roots share; empty lets every
	// root make its own.
	Lock string
	// Served are the sources of providers that this program serves itself: they are
	// in no lock file, since what starts them is written for every machine anew.
	Served []string
	// Parallelism bounds the resources that one process changes at a time; 0
	// leaves it to OpenTofu.
	Parallelism int
	// PlanTimeout and ApplyTimeout stop a process that takes longer.
	PlanTimeout, ApplyTimeout time.Duration
	// LockTimeout is how long a process waits for somebody else's lock on a state.
	LockTimeout time.Duration
	// Adopter finds objects whose creation was cut off; nil finds none.
	Adopter Adopter
}

// Runner drives OpenTofu. It implements engine.Runner.
type Runner struct {
	cfg  Config
	lock sync.Mutex // guards cfg.Lock
}

var _ engine.Runner = (*Runner)(nil)

// New returns a runner. The folders of cfg must exist.
func New(cfg Config) *Runner {
	if cfg.PlanTimeout == 0 {
		cfg.PlanTimeout = 30 * time.Minute
	}
	if cfg.ApplyTimeout == 0 {
		cfg.ApplyTimeout = 3 * time.Hour
	}
	if cfg.LockTimeout == 0 {
		cfg.LockTimeout = 20 * time.Second
	}
	return &Runner{cfg: cfg}
}

func (r *Runner) lockTimeout() string { return "-lock-timeout=" + r.cfg.LockTimeout.String() }

// Names of files in a root's folder.
const (
	varsFile  = "strata.auto.tfvars.json"
	stampFile = ".strata-init"
	applyLog  = ".strata-apply.jsonl"
	pending   = ".strata-pending.json" // an apply whose end is not on record yet
)

// graceApply is how long an apply may take to come to a safe end.
const graceApply = 15 * time.Minute

func (r *Runner) dir(u addr.Unit) string {
	return filepath.Join(r.cfg.Dir, compile.StacksDir, filepath.FromSlash(u.Name))
}

// Plan implements engine.Runner.
func (r *Runner) Plan(ctx context.Context, t engine.Task) (*engine.Planned, error) {
	dir := r.dir(t.Unit.Addr)
	held, err := r.hold(ctx, t, "plan")
	if err != nil {
		return nil, err
	}
	defer held.Close()
	return r.plan(ctx, t, dir)
}

// plan is Plan for who holds the lock.
func (r *Runner) plan(ctx context.Context, t engine.Task, dir string) (*engine.Planned, error) {
	if err := r.prepare(ctx, t, dir); err != nil {
		return nil, err
	}
	saved := filepath.Join(r.cfg.Saved, strings.ReplaceAll(t.Unit.Addr.Name, "/", "_")+".tfplan")
	args := []string{"plan", "-json", "-input=false", r.lockTimeout(), "-out=" + saved}
	switch {
	case t.Operation == plan.Destroy && hasModule(t.Root):
		args = append(args, "-destroy")
	case t.Operation == plan.Drift:
		args = append(args, "-refresh-only", "-lock=false")
	case t.Provisional():
		// Nobody applies it, so it keeps nobody out.
		args = append(args, "-lock=false")
	}
	if r.cfg.Parallelism > 0 {
		args = append(args, "-parallelism="+strconv.Itoa(r.cfg.Parallelism))
	}
	res, err := r.run(ctx, command{dir: dir, args: args, limit: r.cfg.PlanTimeout, grace: 15 * time.Second})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil || res.code != 0 || res.signal != 0 {
		return nil, r.fail(t, "plan", res, problems(res.out), err)
	}
	res, err = r.run(ctx, command{dir: dir, args: []string{"show", "-json", saved}, limit: r.cfg.PlanTimeout, grace: 15 * time.Second})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil || res.code != 0 || res.signal != 0 {
		return nil, r.fail(t, "plan", res, problems(res.out), err)
	}
	p, err := convert(res.out, t.Operation)
	if err != nil {
		return nil, failure(t, "plan", result{}, nil, err)
	}
	if t.Provisional() || t.Operation == plan.Drift {
		return p, os.Remove(saved)
	}
	p.Saved = saved
	return p, nil
}

// fail adds to a failure what only Strata can know.
func (r *Runner) fail(t engine.Task, stage string, res result, ps []engine.Problem, err error) *engine.Failure {
	f := failure(t, stage, res, ps, err)
	for i, p := range f.Problems {
		f.Problems[i] = r.inUsersWords(t, p)
		if p.Summary == "Output refers to sensitive values" {
			f.Next = "Outputs are kept on record, so a secret's output is the place where it is: let the module put the value into the environment's secret store and give the path."
		}
		if p.Summary == "Inconsistent dependency lock file" {
			f.Cause = engine.CauseConfig
			f.Next = "The providers here are not those that the plan was made with: plan again."
		}
		if r.cfg.StandIns && strings.Contains(p.Detail, "does not support") {
			f.Next = "Stand-ins know only the types in their schema. To add one: `strata schema pull hashicorp/PROVIDER TYPE --modules modules --file schemas/CLOUD.json`."
		}
	}
	return f
}

// hasModule reports whether a root calls a module; the root of a unit that left
// the model does not.
func hasModule(root []byte) bool {
	var doc struct {
		Module map[string]any `json:"module"`
	}
	return json.Unmarshal(root, &doc) == nil && len(doc.Module) > 0
}

// Apply implements engine.Runner.
func (r *Runner) Apply(ctx context.Context, t engine.Task, saved string) (*engine.Applied, error) {
	dir := r.dir(t.Unit.Addr)
	held, err := r.hold(ctx, t, "apply")
	if err != nil {
		return nil, err
	}
	defer held.Close()
	if err := r.prepare(ctx, t, dir); err != nil {
		return nil, err
	}
	log := filepath.Join(dir, applyLog)
	// From here on a kill leaves something to look after.
	if err := writeFile(filepath.Join(dir, pending), []byte("{}\n")); err != nil {
		return nil, failure(t, "apply", result{}, nil, err)
	}
	args := []string{"apply", "-json", "-input=false", r.lockTimeout()}
	if r.cfg.Parallelism > 0 {
		args = append(args, "-parallelism="+strconv.Itoa(r.cfg.Parallelism))
	}
	j := newJournal()
	res, err := r.write(ctx, t, command{
		dir: dir, args: append(args, saved), log: log, limit: r.cfg.ApplyTimeout, grace: graceApply,
		line: func(b []byte) {
			if e, ok := parse(b); ok {
				j.add(e)
				if ev, ok := e.event(); ok {
					ev.Unit = t.Unit.Addr
					t.Emit(ev)
				}
			}
		},
	})
	if err != nil || res.code != 0 || res.signal != 0 || !j.ended {
		f := r.fail(t, "apply", res, j.problems, err)
		f.Changed, f.Open = j.changed(), j.open()
		if ctx.Err() != nil {
			f.Cause, f.Err = engine.CauseCancelled, ctx.Err()
			f.Next = advice(f.Cause, t)
		}
		return nil, f
	}
	return &engine.Applied{Outputs: j.outputs, Changed: j.changed()}, nil
}

// Done implements engine.Runner.
func (r *Runner) Done(t engine.Task, gone bool) error {
	dir := r.dir(t.Unit.Addr)
	if !gone {
		return remove(filepath.Join(dir, pending), filepath.Join(dir, applyLog))
	}
	// Units may lie below this one's folder, so only its own files go.
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || name == ".terraform" {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func remove(files ...string) error {
	for _, f := range files {
		if err := os.Remove(f); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func note(t engine.Task, text string) {
	t.Emit(engine.Event{At: time.Now(), Type: engine.Note, Unit: t.Unit.Addr, Text: text})
}

// prepare writes the root and its variables, and initialises it unless that was
// done with the same providers, modules and backend.
func (r *Runner) prepare(ctx context.Context, t engine.Task, dir string) error {
	fail := func(err error) error { return failure(t, "init", result{}, nil, err) }
	if err := writeFile(filepath.Join(dir, stack.FileName), t.Root); err != nil {
		return fail(err)
	}
	vars := filepath.Join(dir, varsFile)
	if len(t.Values) == 0 {
		if err := remove(vars); err != nil {
			return fail(err)
		}
	} else {
		b, err := json.Marshal(t.Values)
		if err != nil {
			return fail(err)
		}
		if err := writeFile(vars, b); err != nil {
			return fail(err)
		}
	}
	return r.init(ctx, t, dir)
}

func (r *Runner) init(ctx context.Context, t engine.Task, dir string) error {
	want, err := r.stamp(t)
	if err != nil {
		return failure(t, "init", result{}, nil, err)
	}
	stamp := filepath.Join(dir, stampFile)
	if have, err := os.ReadFile(stamp); err == nil && string(have) == want {
		return nil
	}
	if err := remove(stamp); err != nil {
		return failure(t, "init", result{}, nil, err)
	}
	own := filepath.Join(dir, ".terraform.lock.hcl")
	if err := r.borrowLock(own); err != nil {
		return failure(t, "init", result{}, nil, err)
	}
	res, err := r.run(ctx, command{dir: dir, args: []string{"init", "-json", "-input=false", "-reconfigure"}, limit: r.cfg.PlanTimeout, grace: 10 * time.Second})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil || res.code != 0 || res.signal != 0 {
		return r.fail(t, "init", res, problems(res.out), err)
	}
	if err := r.returnLock(own); err != nil {
		return failure(t, "init", result{}, nil, err)
	}
	if want, err = r.stamp(t); err != nil {
		return failure(t, "init", result{}, nil, err)
	}
	if err := writeFile(stamp, []byte(want)); err != nil {
		return failure(t, "init", result{}, nil, err)
	}
	return nil
}

// stamp covers all that initialising depends on.
func (r *Runner) stamp(t engine.Task) (string, error) {
	var doc struct {
		Terraform json.RawMessage                    `json:"terraform"`
		Module    map[string]struct{ Source string } `json:"module"`
	}
	if err := json.Unmarshal(t.Root, &doc); err != nil {
		return "", fmt.Errorf("read the root: %w", err)
	}
	h := sha256.New()
	cli, err := os.ReadFile(r.cfg.CLIConfig)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	for _, part := range []string{r.cfg.Binary, r.cfg.Version, r.cfg.Providers, string(cli), string(doc.Terraform), doc.Module["this"].Source, t.Module} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// borrowLock gives a root the environment's dependency lock file, so that all
// its units run the same versions of providers.
func (r *Runner) borrowLock(own string) error {
	if r.cfg.Lock == "" {
		return remove(own)
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	b, err := os.ReadFile(r.cfg.Lock)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return writeFile(own, b)
}

// returnLock keeps what the first root found out about providers.
func (r *Runner) returnLock(own string) error {
	if r.cfg.Lock == "" {
		return nil
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	b, err := os.ReadFile(own)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if b, err = without(b, r.cfg.Served); err != nil {
		return err
	}
	old, err := os.ReadFile(r.cfg.Lock)
	if err == nil && len(old) >= len(b) {
		return nil
	}
	return writeFile(r.cfg.Lock, b)
}

// writeFile replaces a file as a whole, readable by its owner only; it leaves one
// that has the content already alone.
func writeFile(path string, content []byte) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == string(content) {
		return nil
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err = tmp.Write(content); err == nil {
		err = tmp.Close()
	} else {
		err = errors.Join(err, tmp.Close())
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// inUsersWords replaces paths of the working folder by those of the repository.
func (r *Runner) inUsersWords(t engine.Task, p engine.Problem) engine.Problem {
	if own, ok := strings.CutPrefix(p.File, ""); ok && strings.Contains(own, compile.ModulesDir+"/own/") {
		_, rest, _ := strings.Cut(own, compile.ModulesDir+"/own/")
		p.File = "modules/" + rest
	} else if p.File == stack.FileName {
		p.File, p.Line = "", 0
	}
	if strings.Contains(p.Detail, r.cfg.Dir) {
		p.Detail = strings.ReplaceAll(p.Detail, r.cfg.Dir+string(filepath.Separator), "")
	}
	return p
}
