package kube

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/engine"
)

// fail says what went wrong with a unit as a whole.
func fail(t engine.Task, stage string, cause engine.Cause, err error, next string) error {
	return &engine.Failure{
		Unit: t.Unit.Addr, Stage: stage, Cause: cause, Err: err, Next: next,
		Problems: []engine.Problem{{Summary: err.Error()}},
	}
}

// failed says what the API server had against an object. Errors that are failures
// already stay what they are.
func failed(t engine.Task, stage, object string, err error) error {
	var f *engine.Failure
	if errors.As(err, &f) {
		return err
	}
	out := &engine.Failure{
		Unit: t.Unit.Addr, Stage: stage, Cause: engine.CauseOther, Err: err,
		Problems: []engine.Problem{{Summary: err.Error(), Resource: object}},
		Next:     "Put right what it says, then run the same command again: what was applied stays.",
	}
	switch {
	case errors.Is(err, errForeign):
		out.Cause = engine.CauseConflict
		out.Next = "Rename it in the description, or remove or rename what is there."
	case apierrors.IsConflict(err):
		out.Cause = engine.CauseConflict
		out.Next = "Plan again: the plan then shows the fields that somebody else manages, and what becomes of them."
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		out.Cause = engine.CauseCredentials
		out.Next = "Use credentials that may do this, or see what admission policy refuses it."
	case meta.IsNoMatchError(err):
		out.Cause = engine.CauseConfig
		out.Problems[0].Summary = fmt.Sprintf("the cluster does not know objects of this kind: %v", err)
		out.Next = "Install what defines them, or leave out what needs them."
	case cluster.Unreachable(err):
		out.Cause = engine.CauseBackend
		out.Problems[0].Summary = fmt.Sprintf("the cluster does not answer: %v", err)
		out.Next = "See that the cluster runs: `strata up` starts one of this machine."
	}
	return out
}
