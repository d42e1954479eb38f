package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/store"
)

// renewing is a store that answers renewals with one error after the other, and with
// the last one for good.
type renewing struct {
	store.Store
	errs []error
}

func (r *renewing) Renew(context.Context, store.Lock) error {
	err := r.errs[0]
	if len(r.errs) > 1 {
		r.errs = r.errs[1:]
	}
	return err
}

// TestKeep loses the lock: a store that does not answer for a while is no reason to
// stop, one that says that the lock is somebody else's is.
func TestKeep(t *testing.T) {
	s := &renewing{errs: []error{nil, errors.New("no answer"), nil, fmt.Errorf("dev: %w", store.ErrLost)}}
	var notes []string
	e := New(Config{Store: s, Emit: func(ev Event) { notes = append(notes, ev.Text) }})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := e.keep(context.Background(), store.Lock{}, time.Millisecond, cancel)
	<-ctx.Done()
	stop()
	if len(notes) != 2 || !strings.Contains(notes[0], "no answer") || !strings.Contains(notes[1], "taken away") {
		t.Errorf("%q", notes)
	}
}

// TestRecord keeps the words of providers out of what is written down.
func TestRecord(t *testing.T) {
	f := &Failure{
		Unit: addr.Unit{Env: "dev", Name: "db"}, Stage: "apply", Cause: CauseQuota,
		Problems: []Problem{{Summary: "the password planted is too short", Detail: "planted"}}, Err: errors.New("planted"),
	}
	if got := f.record(); got != "dev/db: apply failed (quota)" {
		t.Error(got)
	}
}
