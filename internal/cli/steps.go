package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/stratahq/strata/internal/term"
)

// steps shows what a long command does, one step after the other: what is being done
// now, how long it has taken, and how long it took last time on this machine.
type steps struct {
	w     io.Writer
	paint term.Painter
	live  bool
	width int
	began time.Time
	file  string             // where times are kept; empty for nowhere
	last  map[string]float64 // seconds, by step

	mu   sync.Mutex
	note string
}

func (a *app) steps(command string) *steps {
	color, width := terminal(a.stderr)
	s := &steps{w: a.stderr, paint: term.Painter(color), live: isTerminal(a.stderr), width: width, began: time.Now(), last: map[string]float64{}}
	dir, err := os.UserCacheDir()
	if err != nil {
		return s
	}
	s.file = filepath.Join(dir, "strata", "times-"+command+".json")
	if b, err := os.ReadFile(s.file); err == nil && json.Unmarshal(b, &s.last) != nil {
		s.last = map[string]float64{} // it is of no other use
	}
	return s
}

// detail says what a step is at.
func (s *steps) detail(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note = text
}

// do runs a step. f returns what came of it, in a few words. A quiet step shows its
// progress itself.
func (s *steps) do(name string, quiet bool, f func() (string, error)) error {
	began := time.Now()
	s.detail("")
	stop, stopped := make(chan struct{}), make(chan struct{})
	switch {
	case s.live && !quiet:
		go s.draw(name, began, stop, stopped)
	default:
		fmt.Fprintln(s.w, s.paint.Paint(term.Dim, "· "+name+s.before(name)))
		close(stopped)
	}
	result, err := f()
	close(stop)
	<-stopped
	took := time.Since(began)
	if err == nil {
		s.keep(name, took)
	}
	if err != nil {
		fmt.Fprintf(s.w, "%s %s %s\n", s.paint.Paint(term.Red, "✗"), name, s.paint.Paint(term.Dim, seconds(took)))
		return err
	}
	if result != "" {
		name += ": " + result
	}
	fmt.Fprintf(s.w, "%s %s  %s\n", s.paint.Paint(term.Green, "✓"), name, s.paint.Paint(term.Dim, seconds(took)))
	return nil
}

// keep remembers how long a step took, unless it had nothing to do.
func (s *steps) keep(name string, took time.Duration) {
	if s.file == "" || took < time.Second {
		return
	}
	s.last[name] = took.Seconds()
	b, err := json.Marshal(s.last)
	if err != nil {
		return
	}
	// Times are a courtesy: a disk that is full says so elsewhere.
	if os.MkdirAll(filepath.Dir(s.file), 0o700) == nil {
		_ = os.WriteFile(s.file, b, 0o600)
	}
}

// before says how long a step took last time.
func (s *steps) before(name string) string {
	if t, ok := s.last[name]; ok && t >= 1 {
		return " (last time " + seconds(time.Duration(t*float64(time.Second))) + ")"
	}
	return ""
}

// draw redraws the line of a step until stop is closed.
func (s *steps) draw(name string, began time.Time, stop, stopped chan struct{}) {
	defer close(stopped)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		s.mu.Lock()
		text := fmt.Sprintf("· %s  %s%s  %s", name, seconds(time.Since(began)), s.before(name), term.Clean(s.note))
		s.mu.Unlock()
		fmt.Fprintf(s.w, "\r\x1b[K%s", s.paint.Paint(term.Dim, term.Cut(text, s.width-1)))
		select {
		case <-tick.C:
		case <-stop:
			fmt.Fprint(s.w, "\r\x1b[K")
			return
		}
	}
}

// seconds says how long something took.
func seconds(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
