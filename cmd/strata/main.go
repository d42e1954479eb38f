// Command strata turns one description in git into running infrastructure.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/stratahq/strata/internal/cli"
)

// version is set when the program is linked.
var version = "dev"

func main() {
	// A command runs for seconds and then gives all memory back: trading memory
	// for less garbage collection is right unless the user says otherwise.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A first Ctrl-C lets what is under way come to a safe end, which may take minutes;
	// a second one ends this process at once, as the system does it.
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Run(ctx, version, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
