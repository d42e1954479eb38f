package tofu

import (
	"regexp"
	"strings"
	"syscall"

	"github.com/stratahq/strata/internal/engine"
)

// causes tell kinds of failure apart by what OpenTofu, its backends and the
// providers of the clouds say. The first that matches wins.
var causes = []struct {
	cause engine.Cause
	text  *regexp.Regexp
}{
	{engine.CauseStale, regexp.MustCompile(`(?i)saved plan is stale|saved plan does not match`)},
	{engine.CauseLocked, regexp.MustCompile(`(?i)acquiring the state lock|state.*already locked`)},
	{engine.CauseDisk, regexp.MustCompile(`(?i)no space left on device|disk quota exceeded`)},
	{engine.CauseAccount, regexp.MustCompile(`(?i)account (id )?not allowed|is not (one of )?the allowed account|forbidden_account`)},
	{engine.CauseCredentials, regexp.MustCompile(`(?i)expired ?token|token .*expired|no valid credential|invalidclienttokenid|unable to locate credentials|could not find default credentials|signaturedoesnotmatch|unrecognizedclient|failed to refresh cached credentials|security token included in the request is`)},
	{engine.CauseQuota, regexp.MustCompile(`(?i)limitexceeded|quota|too ?many ?requests|throttl|service ?limit`)},
	{engine.CauseConflict, regexp.MustCompile(`(?i)already ?exists|alreadyowned|duplicate|entityalreadyexists|is already in use`)},
	{engine.CauseProvider, regexp.MustCompile(`(?i)plugin did not respond|plugin crashed|failed to instantiate provider|provider produced|plugin (process )?exited|failed to read schema for provider|could not load the schema|connection refused.*plugin|transport is closing`)},
	{engine.CauseBackend, regexp.MustCompile(`(?i)backend|error (loading|refreshing) state|failed to (load|get existing|persist|save) state|nosuchbucket|dial tcp|connection refused`)},
	{engine.CauseConfig, regexp.MustCompile(`(?i)unsupported|invalid|argument|missing|reference to undeclared|not expected here|no such|module not|does not support|failed to (read|query)`)},
}

// next says what to do about a kind of failure.
var next = map[engine.Cause]string{
	engine.CauseStale:       "Plan again: the state changed after the plan was made.",
	engine.CauseLocked:      "If whoever holds the state lock is gone, run `strata unlock %[1]s --state %[2]s --id ID`, with the ID above.",
	engine.CauseDisk:        "Make room, then run the same command again: it goes on where it stopped.",
	engine.CauseAccount:     "Use credentials of the account that environments/%[1]s.yaml names (spec.account.id), or correct it.",
	engine.CauseCredentials: "Sign in again, then run the same command again: it goes on where it stopped.",
	engine.CauseQuota:       "Have the quota raised or wait, then run the same command again: it goes on where it stopped.",
	engine.CauseConflict:    "Something of that name is there already and is not in the unit's state. Rename it, delete it, or take it over with `strata import %[1]s %[2]s RESOURCE ID`.",
	engine.CauseProvider:    "Run the same command again; if the provider fails again, `--tofu-env TF_LOG` with TF_LOG=debug shows what it was doing.",
	engine.CauseBackend:     "See that the state backend of environments/%[1]s.yaml (spec.state) is there and that you may reach it; `strata bootstrap %[1]s` creates the bucket.",
	engine.CauseConfig:      "Correct the module or its inputs, then plan again.",
	engine.CauseTimeout:     "See what the provider waits for; `--timeout` gives it longer. Run the same command again to go on.",
	engine.CauseKilled:      "Run the same command again: it looks after what the killed process left behind and goes on.",
	engine.CauseCancelled:   "Run the same command again: it goes on where it stopped.",
	engine.CauseOther:       "Run the same command again once the cause is gone: it goes on where it stopped.",
}

// classify finds the cause in what was said.
func classify(ps []engine.Problem, stderr string) engine.Cause {
	for _, c := range causes {
		for _, p := range ps {
			if c.text.MatchString(p.Summary) || c.text.MatchString(p.Detail) {
				return c.cause
			}
		}
		if len(ps) == 0 && c.text.MatchString(stderr) {
			return c.cause
		}
	}
	return engine.CauseOther
}

// failure makes a failure of how a command ended.
func failure(t engine.Task, stage string, res result, ps []engine.Problem, err error) *engine.Failure {
	f := &engine.Failure{Unit: t.Unit.Addr, Stage: stage, Problems: ps, Err: err}
	stderr := strings.TrimSpace(string(res.err))
	if len(ps) == 0 && stderr != "" {
		head, rest, _ := strings.Cut(stderr, "\n")
		f.Problems = []engine.Problem{{Summary: strings.TrimPrefix(head, "Error: "), Detail: strings.TrimSpace(rest)}}
	}
	switch {
	case res.late:
		f.Cause = engine.CauseTimeout
		f.Problems = append([]engine.Problem{{Summary: "it took too long and was stopped; a provider may hang"}}, f.Problems...)
	case res.signal == syscall.SIGKILL || res.signal == syscall.SIGTERM:
		f.Cause = engine.CauseKilled
		f.Problems = append([]engine.Problem{{Summary: "the OpenTofu process was killed (" + res.signal.String() + ")"}}, f.Problems...)
	case len(f.Problems) == 0 && err != nil:
		f.Cause = classify([]engine.Problem{{Summary: err.Error()}}, "")
	default:
		f.Cause = classify(f.Problems, "")
	}
	f.Next = advice(f.Cause, t)
	return f
}

func advice(c engine.Cause, t engine.Task) string {
	s := next[c]
	if s == "" {
		s = next[engine.CauseOther]
	}
	return strings.NewReplacer("%[1]s", t.Unit.Addr.Env, "%[2]s", t.Unit.Addr.Name).Replace(s)
}
