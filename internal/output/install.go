package output

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// tempPrefix begins the names of trees under construction. They stand beside
// the tree, so that a rename does not cross file systems.
func tempPrefix(dir string) string { return "." + filepath.Base(dir) + ".new-" }

// removeLeftovers deletes what a killed process left under construction. The
// caller holds the lock, so nobody is constructing now.
func removeLeftovers(dir string) error {
	list, err := filepath.Glob(filepath.Join(filepath.Dir(dir), tempPrefix(dir)+"*"))
	if err != nil {
		return fmt.Errorf("look for leftovers of %s: %w", dir, err)
	}
	for _, p := range list {
		if err := os.RemoveAll(p); err != nil {
			return fmt.Errorf("remove the leftover %s: %w", p, err)
		}
	}
	return nil
}

// install puts the planned tree in place with one atomic rename. What is
// renamed is as little as possible: a single file, or the lowest folder that
// holds all that changes, built anew beside the tree from links to what stays.
func (p *planned) install(ctx context.Context, dir string, old map[string]stat) (err error) {
	temp, err := os.MkdirTemp(filepath.Dir(dir), tempPrefix(dir))
	if err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	defer func() {
		if rmErr := os.RemoveAll(temp); rmErr != nil && err == nil {
			err = fmt.Errorf("remove the old tree: %w", rmErr)
		}
	}()
	if len(p.fresh) == 1 && len(p.remove) == 0 {
		for name, content := range p.fresh {
			if _, there := old[name]; there {
				return replaceFile(filepath.Join(dir, filepath.FromSlash(name)), filepath.Join(temp, "file"), content)
			}
		}
	}
	top := p.commonFolder(dir)
	next := filepath.Join(temp, "tree")
	if err := p.construct(ctx, dir, next, top, old); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	target := filepath.Join(dir, filepath.FromSlash(top))
	if err := swap(next, target); err != nil {
		return fmt.Errorf("put the new tree in place: %w", err)
	}
	return nil
}

func replaceFile(target, temp string, content []byte) error {
	if err := writeFile(temp, content); err != nil {
		return fmt.Errorf("write %s: %w", target, err)
	}
	if err := os.Rename(temp, target); err != nil {
		return fmt.Errorf("put the new file in place: %w", err)
	}
	return nil
}

// commonFolder returns the lowest folder of the tree, as a slash path, that
// holds every change and exists already; "" is the tree itself.
func (p *planned) commonFolder(dir string) string {
	var common []string
	first := true
	visit := func(name string) {
		segs := strings.Split(path.Dir(name), "/")
		if path.Dir(name) == "." {
			segs = nil
		}
		if first {
			common, first = segs, false
			return
		}
		n := 0
		for n < len(common) && n < len(segs) && common[n] == segs[n] {
			n++
		}
		common = common[:n]
	}
	for name := range p.fresh {
		visit(name)
	}
	for _, name := range p.remove {
		visit(name)
	}
	for len(common) > 0 {
		info, err := os.Lstat(filepath.Join(dir, filepath.Join(common...)))
		// A folder that loses its last file goes away with it, so its parent is
		// what changes.
		if err == nil && info.IsDir() && p.populated(strings.Join(common, "/")) {
			break
		}
		common = common[:len(common)-1]
	}
	return strings.Join(common, "/")
}

func (p *planned) populated(folder string) bool {
	for _, paths := range p.files {
		for _, name := range paths {
			if strings.HasPrefix(name, folder+"/") {
				return true
			}
		}
	}
	return false
}

// construct builds folder top of the new tree at next: fresh files written,
// files that stay linked.
func (p *planned) construct(ctx context.Context, dir, next, top string, old map[string]stat) error {
	made := map[string]bool{}
	within := func(name string) (string, bool) {
		if top == "" {
			return name, true
		}
		return strings.CutPrefix(name, top+"/")
	}
	place := func(name string) (string, error) {
		target := filepath.Join(next, filepath.FromSlash(name))
		parent := filepath.Dir(target)
		if !made[parent] {
			if err := os.MkdirAll(parent, 0o777); err != nil {
				return "", err
			}
			made[parent] = true
		}
		return target, ctx.Err()
	}
	if err := os.MkdirAll(next, 0o777); err != nil {
		return err
	}
	for _, paths := range p.files {
		for _, name := range paths {
			rel, ok := within(name)
			if !ok {
				continue
			}
			target, err := place(rel)
			if err != nil {
				return err
			}
			if content, ok := p.fresh[name]; ok {
				err = writeFile(target, content)
			} else {
				err = link(filepath.Join(dir, filepath.FromSlash(name)), target)
			}
			if err != nil {
				return err
			}
		}
	}
	for name := range old {
		rel, ok := within(name)
		if !ok || !kept(name) {
			continue
		}
		target, err := place(rel)
		if err != nil {
			return err
		}
		if err := link(filepath.Join(dir, filepath.FromSlash(name)), target); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// link gives a file a second name; where the file system has no hard links it copies.
func link(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	info, statErr := os.Lstat(from)
	if statErr != nil {
		return statErr
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		dest, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(dest, to)
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := writeFile(to, content); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

// swap exchanges next and target atomically. Where target does not exist a
// plain rename does; where the file system cannot exchange, target moves aside
// first, which leaves a moment without it.
func swap(next, target string) error {
	if _, err := os.Lstat(target); errors.Is(err, fs.ErrNotExist) {
		return os.Rename(next, target)
	}
	err := unix.Renameat2(unix.AT_FDCWD, next, unix.AT_FDCWD, target, unix.RENAME_EXCHANGE)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	aside := next + ".old"
	if err := os.Rename(target, aside); err != nil {
		return err
	}
	if err := os.Rename(next, target); err != nil {
		return errors.Join(err, os.Rename(aside, target))
	}
	return nil
}

func tryLock(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
