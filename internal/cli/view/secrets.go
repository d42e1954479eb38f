package view

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/stratahq/strata/internal/term"
)

// SecretState says where a secret comes from.
type SecretState string

// The states of secrets.
const (
	// SecretMissing is asked for, and is not there.
	SecretMissing SecretState = "missing"
	// SecretMadeUp is asked for, and its value was made up because nobody had given it.
	SecretMadeUp SecretState = "made-up"
	// SecretGiven was given by people.
	SecretGiven SecretState = "given"
	// SecretOfUnit is made and kept by a unit.
	SecretOfUnit SecretState = "unit"
	// SecretElsewhere is asked for and lies where Strata does not look.
	SecretElsewhere SecretState = "elsewhere"
)

// Secret is a secret without its value.
type Secret struct {
	Key     string      `json:"key"`
	Path    string      `json:"path"`
	State   SecretState `json:"state"`
	Unit    string      `json:"unit,omitempty"`
	Changed time.Time   `json:"changed,omitzero"`
	UsedBy  []string    `json:"usedBy,omitempty"`
}

// Secrets are those of an environment.
type Secrets struct {
	Environment string
	// Elsewhere says that a service holds them that Strata does not ask.
	Elsewhere bool
	Rows      []Secret
}

// Sort puts what is for people to do first.
func (s *Secrets) Sort() {
	order := []SecretState{SecretMissing, SecretMadeUp, SecretElsewhere, SecretGiven, SecretOfUnit}
	slices.SortFunc(s.Rows, func(a, b Secret) int {
		if by := slices.Index(order, a.State) - slices.Index(order, b.State); by != 0 {
			return by
		}
		return strings.Compare(a.Path, b.Path)
	})
}

// JSON writes them as one versioned document.
func (s *Secrets) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(struct {
		Version     string   `json:"version"`
		Environment string   `json:"environment"`
		Secrets     []Secret `json:"secrets"`
	}{"1", s.Environment, append([]Secret{}, s.Rows...)})
}

// SecretsOptions says how Human shows secrets.
type SecretsOptions struct {
	Color   bool
	Width   int
	Now     time.Time
	Program string
}

// Human writes them for people.
func (s *Secrets) Human(w io.Writer, opt SecretsOptions) error {
	if opt.Width <= 0 {
		opt.Width = term.DefaultWidth
	}
	p := term.Painter(opt.Color)
	var b strings.Builder
	line := func(text string) { b.WriteString(strings.TrimRight(text, " ") + "\n") }
	column := 0
	for _, r := range s.Rows {
		column = max(column, term.Width(r.Key))
	}
	column = min(column, max(20, opt.Width-40))
	todo := ""
	for _, r := range s.Rows {
		state, style := string(r.State), term.Style("")
		switch r.State {
		case SecretMissing:
			style = term.Red
		case SecretMadeUp:
			state, style = "made up", term.Yellow
		case SecretOfUnit:
			state, style = "of unit", term.Dim
		case SecretElsewhere:
			state, style = "asked for", term.Dim
		}
		if todo == "" && (r.State == SecretMissing || r.State == SecretMadeUp) {
			todo = r.Key
		}
		old := ""
		if !r.Changed.IsZero() {
			old = age(opt.Now.Sub(r.Changed))
		}
		note := ""
		switch {
		case len(r.UsedBy) > 0:
			note = "for " + strings.Join(r.UsedBy, ", ")
		case r.State == SecretGiven:
			note = "nothing asks for it"
		}
		text := pad(term.Cut(term.Clean(r.Key), column), column) + "  " + p.Paint(style, pad(state, 9)) + "  " + p.Paint(term.Dim, left(old, 5)) + "  "
		line(text + p.Paint(term.Dim, shorten(term.Clean(note), max(10, opt.Width-column-20))))
	}
	switch {
	case len(s.Rows) == 0:
		line("Nothing in " + s.Environment + " asks for a secret.")
	case todo != "":
		line("")
		line(fmt.Sprintf("Give one: %s secret set %s %s", opt.Program, s.Environment, todo))
	case s.Elsewhere:
		line("")
		line(fmt.Sprintf("How to set them: %s secret set %s KEY", opt.Program, s.Environment))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
