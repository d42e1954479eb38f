package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stratahq/strata/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"strata": func() {
			os.Exit(cli.Run(context.Background(), "v0.0.0-test", os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

// TestScript runs what users type. Each script has its own folder, cache and
// copy of the example.
func TestScript(t *testing.T) {
	t.Parallel()
	acme, err := filepath.Abs(filepath.Join("..", "..", "examples", "acme"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, ".cache"))
			env.Setenv("NO_COLOR", "1")
			dir := filepath.Join(env.WorkDir, "acme")
			if err := os.CopyFS(dir, os.DirFS(acme)); err != nil {
				return err
			}
			return os.RemoveAll(filepath.Join(dir, "out"))
		},
	})
}
