package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/stratahq/strata/internal/cluster"
)

func (a *app) execCommand() *cobra.Command {
	var f targetFlags
	var noStdin bool
	cmd := &cobra.Command{
		Use:   "exec [ENV] WORKLOAD -- COMMAND [ARG...]",
		Short: "Run a command in a container of a workload",
		Long: `Exec runs a command in a container of a workload and ends with its exit code. On a
terminal the command has one too; otherwise it gets standard input as it is.

` + workloadRule + `

It runs in the newest pod that is ready, in the container main or the first one.
Images that Strata builds have no shell, unless their recipe says why.`,
		Example: `  strata exec local checkout -c main -- /usr/local/bin/checkout --help
  strata exec local --unit workloads/checkout/db -- /bin/sh
  strata exec local checkout/db -- /usr/lib/postgresql/15/bin/psql --version`,
		Args: func(c *cobra.Command, args []string) error {
			at := c.ArgsLenAtDash()
			if at < 0 {
				return fmt.Errorf("put -- before the command: %s", c.UseLine())
			}
			if at == len(args) {
				return fmt.Errorf("there is no command behind --: %s", c.UseLine())
			}
			return targetArgs(&f)(c, args[:at])
		},
	}
	cmd.DisableFlagsInUseLine = true
	cmd.ValidArgsFunction = a.completeTarget
	a.registerTarget(cmd, &f)
	cmd.Flags().BoolVar(&noStdin, "no-stdin", false, "give the command nothing to read, as in a loop that reads standard input itself")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		at := c.ArgsLenAtDash()
		return a.exec(c.Context(), args[:at], args[at:], f, noStdin)
	}
	return cmd
}

func (a *app) exec(ctx context.Context, args, command []string, f targetFlags, noStdin bool) (err error) {
	t, err := a.target(ctx, args, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	pod, err := t.running(ctx, a)
	if err != nil {
		return err
	}
	e := cluster.Exec{Pod: pod, Container: f.container, Command: command, Stdout: a.stdout, Stderr: a.stderr}
	if e.Container == "" {
		e.Container = cluster.DefaultContainer(pod)
	}
	if !noStdin {
		e.Stdin = a.stdin
	}
	in, ok := a.stdin.(*os.File)
	if ok && !noStdin && isTerminal(in) && isTerminal(a.stdout) {
		restore, err := a.raw(in, &e)
		if err != nil {
			return err
		}
		defer restore()
	}
	code, err := t.client.Exec(ctx, e)
	switch {
	case err != nil && ctx.Err() != nil:
		return exitError{130}
	case err != nil && strings.Contains(err.Error(), "no such file or directory"), err != nil && strings.Contains(err.Error(), "executable file not found"):
		return fmt.Errorf("%s, container %s, has no program %q: give its full path, if it is not in PATH. Images have what their recipe names and nothing else, most of them no shell", t.name(), e.Container, command[0])
	case err != nil:
		return err
	case code != 0:
		return exitError{code}
	}
	return nil
}

// raw gives the command the terminal: keys go to it as they are, and it learns the
// terminal's size. What it returns gives the terminal back.
func (a *app) raw(in *os.File, e *cluster.Exec) (restore func(), err error) {
	state, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("take the terminal: %w", err)
	}
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	resized <- syscall.SIGWINCH // the first size
	e.TTY, e.Sizes, e.Stderr = true, sizes{in, resized}, io.Discard
	return func() {
		signal.Stop(resized)
		close(resized)
		_ = term.Restore(int(in.Fd()), state)
	}, nil
}

// sizes says how large the terminal is whenever that changes.
type sizes struct {
	f       *os.File
	changed <-chan os.Signal
}

// Next implements remotecommand.TerminalSizeQueue.
func (s sizes) Next() *remotecommand.TerminalSize {
	if _, ok := <-s.changed; !ok {
		return nil
	}
	w, h, err := term.GetSize(int(s.f.Fd()))
	if err != nil {
		return nil
	}
	return &remotecommand.TerminalSize{Width: uint16(w), Height: uint16(h)}
}
