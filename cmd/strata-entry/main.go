// Command strata-entry is the first process in the containers of databases, brokers and
// the object store. It prepares the server that its argument names, starts it, makes
// user, database and the like what the environment says, and ends in order. It stands in
// for the shell scripts that other images have; images/README.md is its contract.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// services are the servers that there are images for.
var services = map[string]service{
	"postgres":    postgres{},
	"redis":       redis{},
	"rabbitmq":    rabbitmq{},
	"mariadb":     mariadb{},
	"objectstore": objectstore{},
	"kafka":       kafka{},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	code, err := run(ctx, os.Args[1:], defaultPlaces, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		fmt.Fprintln(os.Stderr, "strata-entry: "+err.Error())
	}
	os.Exit(code)
}

// run does what the arguments say and returns the exit code.
func run(ctx context.Context, args []string, p places, log *slog.Logger) (int, error) {
	if len(args) == 1 && args[0] == "probe" {
		if err := probe(ctx, p); err != nil {
			return 1, err
		}
		return 0, nil
	}
	if len(args) != 1 || services[args[0]] == nil {
		return 2, fmt.Errorf("usage: strata-entry probe | %s", strings.Join(slices.Sorted(maps.Keys(services)), " | "))
	}
	c, err := readConfig(args[0], p, os.Environ())
	if err != nil {
		return 1, err
	}
	return supervise(ctx, services[args[0]], c, log)
}

// probe succeeds when the server in this container serves, and is what the environment
// says it is.
func probe(ctx context.Context, p places) error {
	name, err := os.ReadFile(p.ready())
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("the server is not ready yet")
	}
	if err != nil {
		return err
	}
	s := services[string(name)]
	if s == nil {
		return fmt.Errorf("%s names no service: %q", p.ready(), name)
	}
	c, err := readConfig(string(name), p, os.Environ())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return s.answers(ctx, c)
}
