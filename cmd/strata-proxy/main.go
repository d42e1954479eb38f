// Command strata-proxy carries traffic: beside a workload as its sidecar, and into an
// environment as its gateway. It is a program of its own, without a client of Kubernetes,
// since there is one in every pod. What it does is in internal/proxy; here are its
// arguments and signals.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.opentelemetry.io/otel"
	"golang.org/x/time/rate"
)

// version is set by the linker.
var version = "unknown"

// command is one of the things that the program can do. Args do not have its name.
type command struct {
	about string
	run   func(ctx context.Context, args []string, stdout io.Writer, log *slog.Logger) error
}

var commands = map[string]command{
	"gateway": {"let requests from outside in, as the Gateway API says", gatewayCommand},
	"sidecar": {"carry the traffic of the workload beside which it runs", sidecarCommand},
}

func main() {
	limitMemory(cgroupMemory)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	var usage usageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "strata-proxy: "+err.Error())
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "strata-proxy: "+err.Error())
		os.Exit(1)
	}
}

// usageError says that the arguments are wrong.
type usageError string

func (e usageError) Error() string { return string(e) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return usageError("no command\n" + usage())
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "--help", "-help", "-h":
		_, err := io.WriteString(stdout, usage())
		return err
	case "version", "--version":
		_, err := fmt.Fprintln(stdout, "strata-proxy", version)
		return err
	}
	c, ok := commands[name]
	if !ok {
		return usageError(fmt.Sprintf("no command %q\n%s", name, usage()))
	}
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	// A collector that is away fails every few seconds.
	often := rate.Sometimes{Interval: time.Minute}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { often.Do(func() { log.Warn("spans are lost", "error", err) }) }))
	return c.run(ctx, args, stdout, log)
}

func usage() string {
	var b strings.Builder
	b.WriteString("Usage: strata-proxy COMMAND [flags]\n\nCommands:\n")
	for _, name := range slices.Sorted(maps.Keys(commands)) {
		fmt.Fprintf(&b, "  %-10s%s\n", name, commands[name].about)
	}
	b.WriteString("  version   print the version\n\nstrata-proxy COMMAND --help lists the flags of a command.\n")
	return b.String()
}

// parse reads the flags of a command, which takes nothing else. When it returns true the
// command has nothing more to do: it was asked for help, or what it was asked is wrong.
func parse(flags *flag.FlagSet, args []string, stdout io.Writer) (bool, error) {
	flags.SetOutput(io.Discard)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return true, nil
	case err != nil:
		return true, usageError(err.Error())
	case flags.NArg() > 0:
		return true, usageError(fmt.Sprintf("%s takes no argument %q", flags.Name(), flags.Arg(0)))
	}
	return false, nil
}
