// Package cli holds the commands: one file each, from flags over a call to a
// view. A command decides nothing that another package could decide; what it
// prints for people and as JSON is package view's business.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// The exit codes.
const (
	// ExitOK means that all went well and nothing was found.
	ExitOK = 0
	// ExitError means that the command could not do what it was asked.
	ExitError = 1
	// ExitFindings means that the command worked and found something: findings
	// of a policy, or changes in a plan.
	ExitFindings = 2
)

// exitError ends a command with a code. What it has to say was printed already.
type exitError struct{ code int }

func (e exitError) Error() string { return "exit " + strconv.Itoa(e.code) }

// app is what commands share: where to read and write, and what day it is.
type app struct {
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	dir     string
	version string
	today   func() time.Time
}

// Run executes the command line args (without the program's name) and returns
// the exit code. It reads nothing but the given streams, the repository and
// the environment variables NO_COLOR, COLUMNS and TERM.
func Run(ctx context.Context, version string, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, version: version, today: time.Now}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var exit exitError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &exit):
		return exit.code
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "strata: interrupted; nothing was written")
		return 130
	}
	fmt.Fprintln(stderr, "strata: "+err.Error())
	return ExitError
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "strata",
		Short: "Every environment has the same five layers: describe them once, run them anywhere",
		Long: `Strata compiles one description in git into OpenTofu stacks and Kubernetes
objects for every environment, and judges both against policy.

A repository holds strata.yaml, environments/, workloads/ (Score files),
releases/ and, optionally, modules/ and policies/.`,
		Example: `  strata init acme --domain acme.example   start a repository
  strata check                             say everything that is wrong with it
  strata up                                run it on this machine
  strata build prod                        render OpenTofu roots and Kubernetes objects
  strata plan prod                         say what applying it would change
  strata apply prod.plan                   carry an approved plan out
  strata explain environment.cluster       what a field means`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().StringVarP(&a.dir, "directory", "C", ".", "work on the repository in this folder")
	_ = root.MarkPersistentFlagDirname("directory")
	root.AddCommand(
		a.initCommand(), a.newCommand(), a.upCommand(), a.downCommand(), a.statusCommand(), a.logsCommand(), a.execCommand(), a.portForwardCommand(), a.topCommand(), a.kubeconfigCommand(), a.secretCommand(), a.identityCommand(), a.checkCommand(), a.buildCommand(), a.graphCommand(),
		a.explainCommand(), a.schemaCommand(), a.policyCommand(), a.moduleCommand(), a.bootstrapCommand(), a.planCommand(), a.showCommand(), a.approveCommand(), a.applyCommand(), a.destroyCommand(), a.driftCommand(),
		a.outputCommand(), a.runsCommand(), a.importCommand(), a.unlockCommand(), a.auditCommand(), a.versionCommand(), a.providerCommand(), a.nodeCommand(), a.imageCommand(),
	)
	return root
}

// terminal says how to print for people on w.
func terminal(w io.Writer) (color bool, width int) {
	width = 80
	tty := isTerminal(w)
	if f, ok := w.(*os.File); ok && tty {
		if cols, _, err := term.GetSize(int(f.Fd())); err == nil && cols > 0 {
			width = cols
		}
	}
	if cols, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && cols > 20 {
		width = cols
	}
	return tty && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", min(width, 160)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// formatFlag registers -o and checks its value when the command runs.
type format struct {
	value string
	known []string
}

func formatFlag(cmd *cobra.Command, known ...string) *format {
	f := &format{known: known}
	usage := "output format: "
	for i, k := range known {
		if i > 0 {
			usage += ", "
		}
		usage += k
	}
	cmd.Flags().StringVarP(&f.value, "output", "o", known[0], usage)
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(known, cobra.ShellCompDirectiveNoFileComp))
	return f
}

func (f *format) check() error {
	for _, k := range f.known {
		if f.value == k {
			return nil
		}
	}
	return fmt.Errorf("unknown output format %q; known: %v", f.value, f.known)
}

// printJSON writes a document for machines to standard output.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
