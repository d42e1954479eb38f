package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/check"
)

// TestDescriptions: Strata accepts the platforms that are measured. Rules get stricter,
// and a benchmark runs seldom.
func TestDescriptions(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for name, write := range map[string]func(dir string, n int) error{"many workloads": synthesize, "one resource each": queues} {
		dir := t.TempDir()
		if err := write(dir, 60); err != nil {
			t.Fatal(err)
		}
		r, err := check.Load(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		list := r.Diagnostics
		if !list.HasErrors() {
			judged, err := r.Judge(t.Context(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), r.Model.EnvironmentNames()...)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, judged.Diagnostics...)
		}
		if list.HasErrors() {
			var text strings.Builder
			for _, d := range list {
				text.WriteString(d.Summary + "\n")
			}
			t.Errorf("%s:\n%s", name, text.String())
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
