package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// hierarchies are the roots of the machine's cgroup hierarchies: one of version 2, or
// one a controller of version 1.
func hierarchies() ([]string, error) {
	const root = "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		return []string{root}, nil
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, filepath.Join(root, e.Name()))
		}
	}
	return out, nil
}

// groups makes the parent of the pods' cgroups in every hierarchy.
func (c Config) groups() error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range all {
		if err := os.MkdirAll(filepath.Join(h, c.cgroup()), 0o755); err != nil {
			return fmt.Errorf("make the node's cgroup: %w", err)
		}
		// A set of processors must be given before a process may enter.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if b, err := os.ReadFile(filepath.Join(h, file)); err == nil && strings.HasSuffix(h, "cpuset") {
				_ = os.WriteFile(filepath.Join(h, c.cgroup(), file), b, 0o600)
			}
		}
	}
	return nil
}

// cleanGroups removes the cgroups; they are empty when the node has ended.
func (c Config) cleanGroups() error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range all {
		err = errors.Join(err, removeGroup(filepath.Join(h, c.cgroup())))
	}
	return err
}

func removeGroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeGroup(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	// A process that was just killed may be in there for a moment yet.
	for range 50 {
		if err = os.Remove(dir); err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}
