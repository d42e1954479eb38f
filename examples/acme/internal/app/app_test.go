package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"example.com/acme/internal/env"
	"example.com/acme/internal/health"
)

func testApp(vars map[string]string) *App {
	log := slog.New(slog.DiscardHandler)
	return &App{Log: log, Env: env.From(vars), Health: health.New(log)}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A request that is under way when the program is told to stop gets its answer.
func TestServeDrains(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	entered, release := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "done")
	})
	address, ended := freeAddress(t), make(chan error)
	taskEnded := false
	go func() {
		ended <- testApp(nil).Serve(ctx, address, mux, func(ctx context.Context) error {
			<-ctx.Done()
			taskEnded = true
			return ctx.Err()
		})
	}()
	answer := make(chan string)
	go func() {
		for {
			resp, err := http.Get("http://" + address + "/slow")
			if err != nil {
				continue // it does not listen yet
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			answer <- string(body)
			return
		}
	}()
	select {
	case <-entered:
	case err := <-ended:
		t.Fatalf("it has ended: %v", err)
	}
	stop()
	close(release)
	if got := <-answer; got != "done" {
		t.Errorf("answer %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !taskEnded {
		t.Error("the task was not waited for")
	}
}

func TestServeEndsWhenATaskFails(t *testing.T) {
	broken := errors.New("broken")
	err := testApp(nil).Serve(t.Context(), freeAddress(t), http.NewServeMux(), func(context.Context) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func TestAddress(t *testing.T) {
	for want, vars := range map[string]map[string]string{
		":8080":          {"PORT": "8080"},
		"127.0.0.1:8080": {"PORT": "8080", "BIND_ADDRESS": "127.0.0.1"},
	} {
		if got := testApp(vars).Address(); got != want {
			t.Errorf("address %q, not %q", got, want)
		}
	}
}
