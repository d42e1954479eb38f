package node

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// watchers is how many inotify instances a user may have while nodes run: each node
// has 24, and many machines allow 128 in all.
const watchers = 1024

// setting is a number in /proc/sys that nodes need to be at least so much.
type setting struct {
	name  string
	least int
}

// lender changes settings of the machine while there are nodes that need them so. For
// each it keeps a folder with what it was and a file for each node that needs it; the
// last one sets it back. Like the settings the folder does not survive the machine.
type lender struct {
	dir, sys string
}

func (Config) lender() lender { return lender{dir: "/run/strata/settings", sys: "/proc/sys"} }

func (l lender) folder(name string) string { return filepath.Join(l.dir, url.PathEscape(name)) }

func (l lender) get(name string) (int, error) {
	b, err := os.ReadFile(filepath.Join(l.sys, name))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

func (l lender) set(name string, value int) error {
	return os.WriteFile(filepath.Join(l.sys, name), []byte(strconv.Itoa(value)), 0o600)
}

// borrow makes settings what a node needs them to be.
func (l lender) borrow(node string, list []setting) error {
	return l.exclusively(func() error {
		for _, s := range list {
			have, err := l.get(s.name)
			if err != nil {
				return err
			}
			dir := l.folder(s.name)
			_, others := os.Stat(dir)
			if have >= s.least && others != nil {
				continue // so it was before there were nodes
			}
			was := filepath.Join(dir, "was")
			if others != nil {
				if err := write(was, []byte(strconv.Itoa(have)), 0o600); err != nil {
					return err
				}
			}
			if err := write(filepath.Join(dir, node), nil, 0o600); err != nil {
				return err
			}
			if have < s.least {
				if err := l.set(s.name, s.least); err != nil {
					return fmt.Errorf("set %s: %w", s.name, err)
				}
			}
		}
		return nil
	})
}

// giveBack sets back what this node was the last to need.
func (l lender) giveBack(node string) error {
	return l.exclusively(func() error {
		files, err := filepath.Glob(filepath.Join(l.dir, "*", node))
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := os.Remove(file); err != nil {
				return err
			}
			if err := l.restore(filepath.Dir(file)); err != nil {
				return err
			}
		}
		// They stay as long as there is something in them.
		for _, dir := range []string{l.dir, filepath.Dir(l.dir)} {
			if os.Remove(dir) != nil {
				break
			}
		}
		return nil
	})
}

// restore sets back what no node needs any more.
func (l lender) restore(dir string) error {
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 1 {
		return err
	}
	name, err := url.PathUnescape(filepath.Base(dir))
	if err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(dir, "was"))
	if err != nil {
		return err
	}
	was, err := strconv.Atoi(string(b))
	if err != nil {
		return err
	}
	// An interface that is gone has no settings.
	if err := l.set(name, was); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(dir)
}

// exclusively runs f while no other keeper does so.
func (l lender) exclusively(f func() error) error {
	dir, err := os.Open(filepath.Dir(filepath.Dir(l.dir)))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	return f()
}
