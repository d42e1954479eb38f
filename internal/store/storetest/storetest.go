// Package storetest is what every store.Store has to pass: the same tests for each
// place that records are kept in.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/store"
)

// Run runs the tests. open returns an empty store each time it is called with another
// name, and the same one with the same name, so that tests can open a store twice.
func Run(t *testing.T, open func(t *testing.T, name string) store.Store) {
	for name, test := range map[string]func(t *testing.T, open func() store.Store){
		"units": units, "runs": runs, "journal": journal, "audit": audit, "locks": locks, "one lock": oneLock, "two at once": twoAtOnce, "lock of the dead": lockOfTheDead,
	} {
		t.Run(name, func(t *testing.T) {
			test(t, func() store.Store { return open(t, t.Name()) })
		})
	}
}

var (
	ctx  = context.Background()
	noon = time.Date(2026, 11, 24, 12, 0, 0, 123456000, time.UTC)
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func event(run, unit, typ string) store.Event {
	e := store.Event{Run: run, At: noon, Type: typ, Data: json.RawMessage(`{"a":1}`)}
	if unit != "" { // else it is about the run
		e.Unit = addr.Unit{Env: "prod", Name: unit}
	}
	return e
}

func unit(env, name string) store.Unit {
	return store.Unit{
		Addr: addr.Unit{Env: env, Name: name}, Kind: "tofu", Layer: "networking", Status: store.Applied, Digest: "d", Inputs: "i",
		Outputs:   map[string]json.RawMessage{"host": json.RawMessage(`"h\u0000 ü"`), "list": json.RawMessage(`["a",1,null]`)},
		DependsOn: []addr.Unit{{Env: env, Name: "account"}}, Root: []byte(`{"x":"é'"}`), Run: "r", Applied: noon, Version: "v1",
	}
}

func units(t *testing.T, open func() store.Store) {
	s := open()
	for _, u := range []store.Unit{unit("prod", "b"), unit("prod", "a"), unit("dev", "a")} {
		must(t, s.PutUnit(ctx, u, event("r", u.Addr.Name, "unit-finished")))
	}
	again := unit("prod", "b")
	again.Status, again.Outputs, again.DependsOn = store.Partial, nil, nil
	must(t, s.PutUnit(ctx, again))
	got, err := open().Units(ctx, "prod")
	must(t, err)
	if len(got) != 2 || got[0].Addr.Name != "a" || got[1].Status != store.Partial {
		t.Fatalf("%+v", got)
	}
	if want := unit("prod", "a"); !reflect.DeepEqual(got[0], want) {
		t.Errorf("got  %+v\nwant %+v", got[0], want)
	}
	must(t, s.DeleteUnit(ctx, addr.Unit{Env: "prod", Name: "a"}, event("r", "a", "unit-finished")))
	if got, _ := s.Units(ctx, "prod"); len(got) != 1 {
		t.Errorf("%+v", got)
	}
	if events, _ := s.Events(ctx, "r"); len(events) != 4 {
		t.Errorf("%d lines", len(events))
	}
}

func runs(t *testing.T, open func() store.Store) {
	s := open()
	for i := range 3 {
		r := store.Run{ID: fmt.Sprint("r", i), Environment: "prod", Operation: "apply", Seal: "s", Who: "a@b", Host: "h", PID: i, Started: noon.Add(time.Duration(i) * time.Second), Status: store.Running}
		must(t, s.StartRun(ctx, r))
		r.Status, r.Ended, r.Error, r.Resumes = store.Failed, noon, "it 'broke'", "r9"
		must(t, s.UpdateRun(ctx, r))
	}
	if err := s.StartRun(ctx, store.Run{ID: "r0"}); err == nil {
		t.Error("two runs have one id")
	}
	got, err := s.Run(ctx, "r1")
	if err != nil || got.Status != store.Failed || got.Error != "it 'broke'" || !got.Ended.Equal(noon) || got.Resumes != "r9" {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := s.Run(ctx, "none"); err == nil {
		t.Error("there is no such run")
	}
	list, err := s.Runs(ctx, "prod", 2)
	if err != nil || len(list) != 2 || list[0].ID != "r2" || list[1].ID != "r1" {
		t.Errorf("%+v %v", list, err)
	}
	if all, _ := s.Runs(ctx, "", 10); len(all) != 3 {
		t.Errorf("%+v", all)
	}
}

func journal(t *testing.T, open func() store.Store) {
	s := open()
	must(t, s.Append(ctx, event("r", "a", "one"), event("r", "b", "two"), event("other", "a", "one")))
	must(t, s.Append(ctx, event("r", "", "three")))
	got, err := open().Events(ctx, "r")
	must(t, err)
	previous := ""
	for i, e := range got {
		want, err := store.HashEvent(previous, e)
		must(t, err)
		if e.Seq != int64(i+1) || e.Hash != want {
			t.Errorf("line %d: %+v, want hash %s", i, e, want)
		}
		previous = e.Hash
	}
	if len(got) != 3 || got[2].Type != "three" {
		t.Errorf("%+v", got)
	}
	must(t, s.VerifyRun(ctx, "r"))
	must(t, s.VerifyRun(ctx, "nothing was written"))
}

func audit(t *testing.T, open func() store.Store) {
	s := open()
	for i := range 5 {
		env := []string{"prod", "dev"}[i%2]
		must(t, s.Audit(ctx, store.Entry{At: noon, Who: "a@b", Host: "h", Action: fmt.Sprint("act-", i), Environment: env, Subject: "x", Data: json.RawMessage(`{}`)}))
	}
	got, err := s.AuditLog(ctx, "prod", 2)
	if err != nil || len(got) != 2 || got[0].Action != "act-2" || got[1].Action != "act-4" {
		t.Errorf("%+v %v", got, err)
	}
	if all, _ := s.AuditLog(ctx, "", 100); len(all) != 5 {
		t.Errorf("%+v", all)
	}
	if n, err := s.VerifyAudit(ctx); n != 5 || err != nil {
		t.Error(n, err)
	}
}

func lock(env, run string) store.Lock {
	host, _ := os.Hostname()
	return store.Lock{Environment: env, Owner: "a@b", Host: host, PID: os.Getpid(), ProcessStart: store.ProcessStart(os.Getpid()), Run: run, Operation: "apply", Since: noon, Seen: noon}
}

func locks(t *testing.T, open func() store.Store) {
	s := open()
	must(t, s.Acquire(ctx, lock("prod", "r1")))
	must(t, s.Acquire(ctx, lock("dev", "r2")))
	var locked *store.LockedError
	if err := open().Acquire(ctx, lock("prod", "r3")); !errors.As(err, &locked) || locked.Holder.Run != "r1" {
		t.Errorf("a second lock: %v", err)
	}
	later := lock("prod", "r1")
	later.Seen = noon.Add(time.Minute)
	must(t, s.Renew(ctx, later))
	list, err := s.Locks(ctx)
	if err != nil || len(list) != 2 || list[0].Environment != "dev" || !list[1].Seen.Equal(later.Seen) {
		t.Errorf("%+v %v", list, err)
	}
	if err := s.Renew(ctx, lock("prod", "r3")); err == nil {
		t.Error("somebody else renews")
	}
	if err := s.Release(ctx, lock("prod", "r3")); err == nil {
		t.Error("somebody else releases")
	}
	if err := s.Break(ctx, lock("prod", "r3"), "c@d", "h"); err == nil {
		t.Error("another lock than the expected one is broken")
	}
	must(t, s.Break(ctx, lock("prod", "r1"), "c@d", "h"))
	must(t, s.Acquire(ctx, lock("prod", "r3")))
	must(t, s.Release(ctx, lock("prod", "r3")))
	if trail, _ := s.AuditLog(ctx, "prod", 10); len(trail) != 1 || trail[0].Who != "c@d" {
		t.Errorf("who broke the lock: %+v", trail)
	}
}

// oneLock has many ask at once: one gets it.
func oneLock(t *testing.T, open func() store.Store) {
	const n = 12
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		s := open()
		wg.Go(func() { errs[i] = s.Acquire(ctx, lock("prod", fmt.Sprint("r", i))) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		var locked *store.LockedError
		switch {
		case err == nil:
			won++
		case !errors.As(err, &locked):
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d have the lock", won)
	}
}

// twoAtOnce has many write the same journal and the audit trail: no line is lost and
// the chains are whole.
func twoAtOnce(t *testing.T, open func() store.Store) {
	const writers, lines = 3, 10
	var wg sync.WaitGroup
	for range writers {
		s := open()
		wg.Go(func() {
			for range lines {
				if err := errors.Join(s.Append(ctx, event("r", "a", "line")), s.Audit(ctx, store.Entry{At: noon, Action: "x"})); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	s := open()
	must(t, s.VerifyRun(ctx, "r"))
	if n, err := s.VerifyAudit(ctx); n != writers*lines || err != nil {
		t.Error(n, err)
	}
	if events, _ := s.Events(ctx, "r"); len(events) != writers*lines {
		t.Errorf("%d lines", len(events))
	}
}

// lockOfTheDead takes over the lock of a process of this machine that is gone, and
// leaves alone what may be somebody's on another machine.
func lockOfTheDead(t *testing.T, open func() store.Store) {
	s := open()
	dead := lock("prod", "r1")
	dead.ProcessStart-- // another process had this number before
	must(t, s.Acquire(ctx, dead))
	must(t, s.Acquire(ctx, lock("prod", "r2")))
	if trail, _ := s.AuditLog(ctx, "prod", 10); len(trail) != 1 {
		t.Errorf("taking a lock over is audited: %+v", trail)
	}
	far := lock("dev", "r3")
	far.Host = "far-away"
	must(t, s.Acquire(ctx, far))
	var locked *store.LockedError
	if err := s.Acquire(ctx, lock("dev", "r4")); !errors.As(err, &locked) {
		t.Errorf("the lock of another machine: %v", err)
	}
}
