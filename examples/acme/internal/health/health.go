// Package health answers the questions of Kubernetes' probes. /healthz says that the
// process lives and nothing else: restarting it would not mend a database. /readyz says
// whether it can do its work.
package health

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// timeout of one check; the probes of Score files allow three seconds.
const timeout = 2 * time.Second

// Check returns why something cannot be used.
type Check func(context.Context) error

type dependency struct {
	name     string
	required bool
	check    Check
}

// Set is what a program depends on.
type Set struct {
	log      *slog.Logger
	draining atomic.Bool

	mu   sync.Mutex
	deps []dependency
	last map[string]string
}

// New returns a set without dependencies, which is ready.
func New(log *slog.Logger) *Set { return &Set{log: log, last: map[string]string{}} }

// Require adds something that the program cannot work without.
func (s *Set) Require(name string, check Check) { s.add(dependency{name, true, check}) }

// Report adds something that the program copes without: its state is shown and logged.
func (s *Set) Report(name string, check Check) { s.add(dependency{name, false, check}) }

// Drain makes the program not ready for good, so that no new requests are sent to it.
func (s *Set) Drain() { s.draining.Store(true) }

func (s *Set) add(d dependency) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deps = append(s.deps, d)
}

// Register adds both endpoints to a server.
func (s *Set) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", s.ready)
}

func (s *Set) ready(w http.ResponseWriter, r *http.Request) {
	states, ok := s.States(r.Context())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"ready": ok, "dependencies": states})
}

// States asks every dependency, and says whether all that are required can be used. The
// reasons of failures go to the log: who may ask for the state need not know them.
func (s *Set) States(ctx context.Context) (map[string]string, bool) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s.mu.Lock()
	deps := s.deps
	s.mu.Unlock()
	errs := make([]error, len(deps))
	var wg sync.WaitGroup
	for i, d := range deps {
		wg.Go(func() { errs[i] = d.check(ctx) })
	}
	wg.Wait()
	states, ok := map[string]string{}, !s.draining.Load()
	for i, d := range deps {
		states[d.name] = "ok"
		if errs[i] != nil {
			states[d.name] = "failed"
			ok = ok && !d.required
		}
		s.note(ctx, d, errs[i])
	}
	return states, ok
}

// note logs a state when it has changed.
func (s *Set) note(ctx context.Context, d dependency, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	s.mu.Lock()
	changed := (s.last[d.name] == "") != (text == "")
	s.last[d.name] = text
	s.mu.Unlock()
	switch {
	case changed && err != nil:
		s.log.WarnContext(ctx, "dependency failed", "dependency", d.name, "required", d.required, "error", text)
	case changed:
		s.log.InfoContext(ctx, "dependency is back", "dependency", d.name)
	}
}
