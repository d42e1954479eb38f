// Package retry repeats what fails because something else is down, at growing intervals.
package retry

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"
)

// The first pause and the longest one. They are short enough that a restarted database
// is found within seconds, and long enough not to hinder its start.
const (
	first   = 200 * time.Millisecond
	longest = 5 * time.Second
)

// Do calls f until it succeeds or the context ends; then it returns the context's error.
// An error that is wrapped by Permanent ends it too.
func Do(ctx context.Context, log *slog.Logger, what string, f func(context.Context) error) error {
	for pause := first; ; pause = min(2*pause, longest) {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if p, ok := errors.AsType[permanent](err); ok {
			return p.error
		}
		// Programs that lost the same server shall not come back in the same instant.
		wait := pause/2 + rand.N(pause)
		log.WarnContext(ctx, what+" failed, trying again", "error", err.Error(), "in", wait.Round(time.Millisecond).String())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// Permanent marks an error that trying again cannot mend.
func Permanent(err error) error { return permanent{err} }

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }
