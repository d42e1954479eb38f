package term_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stratahq/strata/internal/term"
)

func TestWidth(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "日本": 4, "e\u0301": 1, "é": 1, "Ａ": 2, "🚀": 2, "…": 1} {
		if got := term.Width(s); got != want {
			t.Errorf("%q is %d columns wide, want %d", s, got, want)
		}
	}
}

func TestClean(t *testing.T) {
	if got, want := term.Clean("a\x1b[0m\x7f\u202e\xff\tb"), "a␛[0m␡\ufffd\ufffd␉b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestWrap keeps every word and no line that is too long, but for long words.
func TestWrap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.StringMatching(`[a-z世]{1,30}`)).Draw(t, "words")
		columns := rapid.IntRange(1, 40).Draw(t, "columns")
		lines := term.Wrap(strings.Join(words, " "), columns, 0)
		if got := strings.Fields(strings.Join(lines, " ")); strings.Join(got, " ") != strings.Join(words, " ") {
			t.Fatalf("got words %q", got)
		}
		for _, l := range lines {
			if strings.Contains(l, " ") && term.Width(l) > columns {
				t.Fatalf("line %q is wider than %d", l, columns)
			}
		}
	})
}

func TestPaint(t *testing.T) {
	if got := term.Painter(false).Paint(term.Red, "x"); got != "x" {
		t.Errorf("got %q", got)
	}
	if got := term.Painter(true).Paint(term.Red, "x"); got != "\x1b[1;31mx\x1b[0m" {
		t.Errorf("got %q", got)
	}
}
