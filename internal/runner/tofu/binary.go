package tofu

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Binary is an OpenTofu or Terraform executable.
type Binary struct {
	Path    string
	Version string
	// Terraform is true for Terraform, false for OpenTofu.
	Terraform bool
}

// Oldest versions: the first OpenTofu whose s3 backend locks by itself, and the
// first Terraform that knows provider functions, which user modules may use.
var oldest = map[string][2]int{"tofu": {1, 10}, "terraform": {1, 9}}

// Find looks for the executable called name ("tofu" or "terraform") beside
// Strata's own, then on PATH. A name with a slash is the executable's path. The
// error says what is missing and how to get it.
func Find(ctx context.Context, name string) (Binary, error) {
	path, err := locate(name)
	if err != nil {
		return Binary{}, err
	}
	cmd := exec.CommandContext(ctx, path, "version", "-json")
	cmd.Env = []string{"TF_CLI_CONFIG_FILE=" + os.DevNull, "CHECKPOINT_DISABLE=1", "HOME=" + os.Getenv("HOME"), "PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if err != nil {
		return Binary{}, fmt.Errorf("%s does not run: %w", path, err)
	}
	var v struct {
		Version string `json:"terraform_version"`
	}
	if err := json.Unmarshal(out, &v); err != nil || v.Version == "" {
		return Binary{}, fmt.Errorf("%s is not OpenTofu: `version -json` prints no version", path)
	}
	b := Binary{Path: path, Version: v.Version, Terraform: strings.HasPrefix(filepath.Base(path), "terraform")}
	return b, b.check()
}

func locate(name string) (string, error) {
	if strings.ContainsRune(name, filepath.Separator) {
		if _, err := os.Stat(name); err != nil {
			return "", fmt.Errorf("there is no OpenTofu at %s: %w", name, err)
		}
		return filepath.Abs(name)
	}
	if self, err := os.Executable(); err == nil {
		if self, err = filepath.EvalSymlinks(self); err == nil {
			beside := filepath.Join(filepath.Dir(self), name)
			if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return beside, nil
			}
		}
	}
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return filepath.Abs(path)
	case name == "tofu":
		return "", errors.New("OpenTofu is missing: there is no tofu beside strata nor on PATH. `make engines` in Strata's repository builds it, or install OpenTofu 1.10 or later; --tofu names another executable")
	}
	return "", fmt.Errorf("%s is missing: it is neither beside strata nor on PATH", name)
}

// check refuses versions that are too old.
func (b Binary) check() error {
	kind := "tofu"
	if b.Terraform {
		kind = "terraform"
	}
	want := oldest[kind]
	var have [2]int
	for i, part := range strings.SplitN(b.Version, ".", 3) {
		if i == len(have) {
			break
		}
		n, err := strconv.Atoi(part)
		if err != nil {
			return fmt.Errorf("%s has version %q, which is no version", b.Path, b.Version)
		}
		have[i] = n
	}
	if have[0] < want[0] || have[0] == want[0] && have[1] < want[1] {
		return fmt.Errorf("%s is version %s; Strata needs %d.%d or later", b.Path, b.Version, want[0], want[1])
	}
	return nil
}

// CommandError is how a command of OpenTofu failed.
type CommandError struct {
	Command, Stderr string
	Err             error
}

// Error names the command and says what it printed.
func (e *CommandError) Error() string {
	return fmt.Sprintf("tofu %s: %v: %s", e.Command, e.Err, strings.TrimSpace(e.Stderr))
}

// Unwrap returns how the process ended.
func (e *CommandError) Unwrap() error { return e.Err }

// Run runs a command in a folder with an environment and returns what it printed. It
// is for commands that change nothing; when ctx ends they are asked to stop. The error
// is a *CommandError.
func (b Binary) Run(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, b.Path, args...)
	cmd.Dir, cmd.Env = dir, env
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, &CommandError{Command: args[0], Stderr: stderr.String(), Err: err}
	}
	return out, nil
}
