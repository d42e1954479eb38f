// Package env reads a program's configuration from environment variables. It collects
// everything that is missing or wrong, so that one start names all of it.
package env

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Reader reads variables and remembers what is wrong with them.
type Reader struct {
	lookup   func(string) (string, bool)
	missing  []string
	problems []string
}

// New returns a reader of the process's environment.
func New() *Reader { return &Reader{lookup: os.LookupEnv} }

// From returns a reader of the given variables.
func From(vars map[string]string) *Reader {
	return &Reader{lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
}

// String returns a variable that has to be there.
func (r *Reader) String(name string) string {
	v, _ := r.lookup(name)
	if v == "" {
		r.missing = append(r.missing, name)
	}
	return v
}

// Optional returns a variable, or the fallback where it is unset or empty.
func (r *Reader) Optional(name, fallback string) string {
	if v, _ := r.lookup(name); v != "" {
		return v
	}
	return fallback
}

// Key returns a secret of at least 16 bytes: a shorter one could be guessed.
func (r *Reader) Key(name string) string {
	v := r.String(name)
	if v != "" && len(v) < 16 {
		r.fail("%s must have at least 16 characters, and has %d", name, len(v))
	}
	return v
}

// Port returns a TCP port.
func (r *Reader) Port(name string) int {
	v := r.String(name)
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > 65535 {
		r.fail("%s must be a port from 1 to 65535, not %q", name, v)
	}
	return n
}

// OneOf returns a variable that has one of the given values; the first is the default.
func (r *Reader) OneOf(name string, values ...string) string {
	v := r.Optional(name, values[0])
	if !slices.Contains(values, v) {
		r.fail("%s must be one of %s, not %q", name, strings.Join(values, ", "), v)
	}
	return v
}

// URL returns a URL with one of the given schemes. Its value is in no error message:
// it may hold a password.
func (r *Reader) URL(name string, schemes ...string) *url.URL {
	v := r.String(name)
	if v == "" {
		return &url.URL{}
	}
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || !slices.Contains(schemes, u.Scheme) {
		r.fail("%s must be a URL that starts with %s://", name, strings.Join(schemes, ":// or "))
		return &url.URL{}
	}
	return u
}

// Err says everything that is missing or wrong, or returns nil.
func (r *Reader) Err() error {
	var parts []string
	if len(r.missing) > 0 {
		parts = append(parts, "these environment variables are not set: "+strings.Join(r.missing, ", "))
	}
	parts = append(parts, r.problems...)
	if len(parts) == 0 {
		return nil
	}
	return errors.New(strings.Join(parts, "; ") + " (the workload's score.yaml sets them)")
}

func (r *Reader) fail(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}
