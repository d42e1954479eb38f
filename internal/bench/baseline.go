package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/stratahq/strata/internal/par"
)

// Baselines are what the machine needs for the part of a command that no
// program can do without. They are measured in the same run, so that a slow or
// busy machine slows both sides of the ratio.

// baseline is a measured lower bound.
type baseline struct {
	what string
	wall time.Duration
}

// parseAll reads every YAML file below dir and parses it to nodes, on all
// cores, and does nothing with them: the least that a check can do.
func parseAll(dir string) (baseline, error) {
	files, err := filesBelow(dir, ".yaml")
	if err != nil {
		return baseline{}, err
	}
	start := time.Now()
	err = par.Each(context.Background(), len(files), func(i int) error {
		src, err := os.ReadFile(files[i])
		if err != nil {
			return err
		}
		var n yaml.Node
		return yaml.Load(src, &n)
	})
	return baseline{"read and parse every YAML file", time.Since(start)}, err
}

// copyAll writes every file below dir once more, as one process on one core: the
// least that a build from nothing can do.
func copyAll(dir string) (baseline, error) {
	to, err := os.MkdirTemp("", "strata-bench-copy-")
	if err != nil {
		return baseline{}, err
	}
	defer os.RemoveAll(to)
	start := time.Now()
	err = os.CopyFS(filepath.Join(to, "tree"), os.DirFS(dir))
	return baseline{"copy every rendered file", time.Since(start)}, err
}

// statAll looks at every file below the folders: the least that finding out
// that nothing changed can do.
func statAll(dirs ...string) (baseline, error) {
	start := time.Now()
	for _, dir := range dirs {
		files, err := filesBelow(dir, "")
		if err != nil {
			return baseline{}, err
		}
		for _, f := range files {
			if _, err := os.Lstat(f); err != nil {
				return baseline{}, err
			}
		}
	}
	return baseline{"stat every file, given and rendered", time.Since(start)}, nil
}

func filesBelow(dir, suffix string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && strings.HasSuffix(p, suffix) {
			out = append(out, p)
		}
		return err
	})
	return out, err
}
