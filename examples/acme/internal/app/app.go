// Package app is what all programs of this repository have in common: configuration,
// logs, telemetry, health, and an end that loses nothing.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"example.com/acme/internal/env"
	"example.com/acme/internal/health"
	"example.com/acme/internal/httpx"
	"example.com/acme/internal/telemetry"
)

// drain is the time that running requests have to end. Kubernetes kills a pod after 30
// seconds, five of which may have passed before it was told to stop.
const drain = 20 * time.Second

// App is a program's surroundings.
type App struct {
	// Args follow the program's name.
	Args   []string
	Log    *slog.Logger
	Env    *env.Reader
	Health *health.Set
}

// Main runs a program until it is done or told to stop by SIGTERM, and returns its exit
// code.
func Main(name string, run func(context.Context, *App) error) int {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	log := telemetry.Logger(os.Stdout, name)
	stop, err := telemetry.Start(ctx, name, log)
	if err != nil {
		log.Error("cannot start", "error", err.Error())
		return 1
	}
	err = run(ctx, &App{Args: os.Args[1:], Log: log, Env: env.New(), Health: health.New(log)})
	last, done := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer done()
	if err := stop(last); err != nil {
		log.Warn("telemetry was not sent", "error", err.Error())
	}
	if err != nil && ctx.Err() == nil {
		log.Error("ends with an error", "error", err.Error())
		return 1
	}
	log.Info("ends")
	return 0
}

// Address reads where to listen: PORT, and BIND_ADDRESS where not on all interfaces.
func (a *App) Address() string {
	return net.JoinHostPort(a.Env.Optional("BIND_ADDRESS", ""), strconv.Itoa(a.Env.Port("PORT")))
}

// Serve answers HTTP requests, health checks among them, and runs background tasks
// until the context ends or a task fails. Then running requests and tasks come to their
// end.
func (a *App) Serve(ctx context.Context, address string, mux *http.ServeMux, tasks ...func(context.Context) error) error {
	a.Health.Register(mux)
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	server := &http.Server{
		Handler:           httpx.Wrap(a.Log, mux),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 45 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
		ErrorLog:       slog.NewLogLogger(a.Log.Handler(), slog.LevelWarn),
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, task := range tasks {
		wg.Go(func() {
			if err := task(ctx); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	wg.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			cancel(err)
		}
	})
	a.Log.Info("serves", "address", listener.Addr().String())
	<-ctx.Done()

	a.Health.Drain()
	last, done := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer done()
	if err := server.Shutdown(last); err != nil {
		a.Log.Warn("requests were cut off", "error", err.Error())
		_ = server.Close()
	}
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
