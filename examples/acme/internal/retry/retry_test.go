package retry

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

func TestDoTriesUntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		err := Do(t.Context(), slog.New(slog.DiscardHandler), "it", func(context.Context) error {
			if tries++; tries < 20 {
				return errors.New("down")
			}
			return nil
		})
		if err != nil || tries != 20 {
			t.Errorf("%d tries, error %v", tries, err)
		}
	})
}

func TestDoEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := Do(ctx, slog.New(slog.DiscardHandler), "it", func(context.Context) error { return errors.New("down") })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}

func TestDoEndsWithWhatIsPermanent(t *testing.T) {
	wrong := errors.New("wrong")
	tries := 0
	err := Do(t.Context(), slog.New(slog.DiscardHandler), "it", func(context.Context) error { tries++; return Permanent(wrong) })
	if !errors.Is(err, wrong) || tries != 1 {
		t.Errorf("%d tries, error %v", tries, err)
	}
}
