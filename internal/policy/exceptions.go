package policy

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/model"
)

// The rules that Go applies to exceptions.
var (
	ruleExpired = &Rule{
		ID: "exception-expired", Title: "Exceptions are renewed or removed in time", Severity: High,
		Description: "The exception's last day is over: it accepts nothing any more.",
		Layer:       model.LayerSecurity, Stage: StageExceptions, BuiltIn: true,
	}
	ruleUnmatched = &Rule{
		ID: "exception-unmatched", Title: "Exceptions that accept nothing are removed", Severity: Low,
		Description: "No finding matches the exception: what it accepted is gone, or its address is misspelt.",
		Layer:       model.LayerSecurity, Stage: StageExceptions, Warn: true, BuiltIn: true,
	}
	ruleUnknown = &Rule{
		ID: "exception-unknown-rule", Title: "Exceptions name rules that exist", Severity: Medium,
		Description: "No rule has the id that the exception names.",
		Layer:       model.LayerSecurity, Stage: StageExceptions, BuiltIn: true,
	}
	exceptionRules = []*Rule{ruleExpired, ruleUnmatched, ruleUnknown}
)

// Scope says what was judged, so that an exception for something else is not
// called unmatched.
type Scope struct {
	// Stages that were judged completely.
	Stages []Stage
	// Environments that were judged; nil means all.
	Environments []string
}

// Except marks the findings that an exception accepts and adds findings about
// the exceptions themselves. today is the current date as YYYY-MM-DD; an
// exception holds up to and including the day on which it expires.
func (s *Set) Except(fs []Finding, list *model.Exceptions, scope Scope, today string) []Finding {
	out := slices.Clone(fs)
	if list == nil {
		SortFindings(out)
		return out
	}
	index := indexExceptions(list.Spec.Exceptions, today)
	matched := make([]bool, len(list.Spec.Exceptions))
	for i := range out {
		f := &out[i]
		for n := range index.candidates(f) {
			e := &list.Spec.Exceptions[n]
			if len(e.Environments) > 0 && !slices.Contains(e.Environments, f.Environment) || !matchGlob(e.Address, f.Address) {
				continue
			}
			matched[n] = true
			if f.Excepted == nil {
				f.Excepted = &Excepted{Reason: e.Reason, Owner: e.Owner, Expires: e.Expires, File: list.Source.File}
			}
		}
	}
	for i, e := range list.Spec.Exceptions {
		about := func(r *Rule, format string, args ...any) {
			out = append(out, hit{
				rule: r, msg: fmt.Sprintf(format, args...), path: diag.P("spec", "exceptions", i), place: diag.P("spec", "exceptions", i).String(),
			}.finding("", "exceptions/"+e.Rule+" "+e.Address, list.Source.File, 0))
		}
		rule := s.byID[e.Rule]
		switch {
		case rule == nil || rule.Stage == StageExceptions:
			about(ruleUnknown, "there is no rule %q", e.Rule)
		case e.Expires < today:
			about(ruleExpired, "the exception of %s expired on %s", e.Owner, e.Expires)
		case !matched[i] && scope.covers(rule, e):
			about(ruleUnmatched, "no finding of %s matches the exception of %s", e.Rule, e.Owner)
		}
	}
	SortFindings(out)
	return out
}

// exceptionIndex finds the exceptions that may be about a finding without a look at all.
type exceptionIndex struct {
	exact map[[2]string][]int // rule and address → exceptions
	globs map[string][]int    // rule → exceptions with a pattern
}

// indexExceptions leaves out what has expired.
func indexExceptions(list []model.Exception, today string) exceptionIndex {
	x := exceptionIndex{map[[2]string][]int{}, map[string][]int{}}
	for i, e := range list {
		switch {
		case e.Expires < today:
		case strings.Contains(e.Address, "*"):
			x.globs[e.Rule] = append(x.globs[e.Rule], i)
		default:
			x.exact[[2]string{e.Rule, e.Address}] = append(x.exact[[2]string{e.Rule, e.Address}], i)
		}
	}
	return x
}

// candidates are the exceptions that may be about a finding.
func (x exceptionIndex) candidates(f *Finding) iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, list := range [][]int{x.exact[[2]string{f.Rule, f.Address}], x.globs[f.Rule]} {
			for _, n := range list {
				if !yield(n) {
					return
				}
			}
		}
	}
}

// covers reports whether everything that the exception could match was judged.
func (sc Scope) covers(r *Rule, e model.Exception) bool {
	if !slices.Contains(sc.Stages, r.Stage) {
		return false
	}
	if sc.Environments == nil {
		return true
	}
	for _, env := range e.Environments {
		if !slices.Contains(sc.Environments, env) {
			return false
		}
	}
	return len(e.Environments) > 0
}

// matchGlob matches s with a pattern in which * stands for any run of
// characters. It never backtracks further than the last star.
func matchGlob(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
