// Package output writes a tree of rendered files so that its reader sees either
// the old tree or the new one, whatever happens in between: a full disk, a
// kill, two writers at once. It knows nothing of what the files mean. It owns
// the folder it writes, except for what OpenTofu leaves beside a root when
// somebody runs it there.
package output

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stratahq/strata/internal/par"
)

// File is a rendered file. Path is relative to the tree, with forward slashes.
type File struct {
	Path    string
	Content []byte
}

// Item is a part of the tree that is rendered as one, from inputs that a
// digest stands for.
type Item struct {
	// Key names the item, unique in the tree.
	Key string
	// Digest stands for everything that Render depends on.
	Digest string
	// Render returns the item's files. It is called only when the digest is
	// not the one that the tree was written with, and must be safe to call
	// concurrently with other items' Render.
	Render func() ([]File, error)
}

// Marker is a file at the top of every tree that Write made. A folder with
// files but without it is somebody else's, and is left alone.
const Marker = ".strata-build"

const markerText = "Everything in this folder is written, and removed, by strata build.\n"

// ErrForeign means that the folder holds files and was not written by Write.
var ErrForeign = errors.New("the folder is not empty and was not written by strata build")

// Report says what a write did.
type Report struct {
	Items    int `json:"items"`
	Rendered int `json:"rendered"`
	Files    int `json:"files"`
	Written  int `json:"written"`
	Removed  int `json:"removed"`
}

// Changed reports whether the tree is another than before.
func (r Report) Changed() bool { return r.Written+r.Removed > 0 }

// Write makes dir hold exactly the files of items. cacheFile remembers which
// digests the tree was written with; it may be missing or damaged, then
// everything is rendered and compared. On an error dir is as it was. It returns
// ErrForeign, wrapped, for a folder that is somebody else's, and an error for a
// dir that is a symbolic link: what it leads to may be anything.
func Write(ctx context.Context, dir, cacheFile string, items []Item) (Report, error) {
	if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
		return Report{}, fmt.Errorf("write %s: it is no folder (%s)", dir, info.Mode().Type())
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return Report{}, fmt.Errorf("write %s: %w", dir, err)
	}
	unlock, err := lock(ctx, filepath.Dir(dir))
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	if err := removeLeftovers(dir); err != nil {
		return Report{}, err
	}
	old, err := scan(dir)
	if err != nil {
		return Report{}, fmt.Errorf("read %s: %w", dir, err)
	}
	if err := ours(dir, old); err != nil {
		return Report{}, err
	}
	items = append(slices.Clip(items), Item{Key: Marker, Digest: Marker, Render: func() ([]File, error) {
		return []File{{Path: Marker, Content: []byte(markerText)}}, nil
	}})
	memory := loadCache(cacheFile)
	plan, err := prepare(ctx, dir, items, old, memory)
	if err != nil {
		return Report{}, err
	}
	if plan.report.Changed() {
		if err := plan.install(ctx, dir, old); err != nil {
			return Report{}, err
		}
	}
	// An item that the cache does not know is rendered again and compared, which is
	// cheaper than writing the whole cache anew as long as it is one in a thousand.
	if plan.report.Rendered > len(items)/1000 || memory.stale(items) {
		// The cache only saves work, so failing to write it is not an error of the
		// build, but the next one will be slower.
		_ = plan.saveCache(cacheFile, dir)
	}
	// The marker is not one of the caller's items.
	plan.report.Items--
	if plan.report.Rendered > plan.report.Items {
		plan.report.Rendered = plan.report.Items
	}
	return plan.report, nil
}

// ours returns ErrForeign when a tree has files but no marker.
func ours(dir string, old map[string]stat) error {
	if _, ok := old[Marker]; ok {
		return nil
	}
	for path := range old {
		if !kept(path) {
			return fmt.Errorf("write %s: %w: empty it, or choose another folder with --out", dir, ErrForeign)
		}
	}
	return nil
}

// kept reports whether a path, relative to the tree, is what OpenTofu leaves
// beside a root.
func kept(path string) bool {
	for seg := range strings.SplitSeq(path, "/") {
		if seg == ".terraform" || seg == ".terraform.lock.hcl" || strings.HasPrefix(seg, "terraform.tfstate") {
			return true
		}
	}
	return false
}

// stat is what tells that a file is the one that was written.
type stat struct {
	Size  int64 `json:"s"`
	MTime int64 `json:"t"`
	mode  fs.FileMode
}

// scan lists the files of a tree by slash path; a missing tree is empty.
func scan(dir string) (map[string]stat, error) {
	out := map[string]stat{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		out[filepath.ToSlash(rel)] = stat{info.Size(), info.ModTime().UnixNano(), info.Mode()}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	return out, err
}

// planned is the tree to be: new content for the files that change, and the
// paths that stay.
type planned struct {
	report Report
	keys   []string
	digest []string
	files  [][]string // paths of each item
	fresh  map[string][]byte
	remove []string
}

func prepare(ctx context.Context, dir string, items []Item, old map[string]stat, memory cache) (*planned, error) {
	type result struct {
		paths    []string
		fresh    []File
		rendered bool
	}
	results := make([]result, len(items))
	err := par.Each(ctx, len(items), func(i int) error {
		it := items[i]
		if paths, ok := memory.unchanged(it, old); ok {
			results[i].paths = paths
			return nil
		}
		files, err := it.Render()
		if err != nil {
			return err
		}
		r := result{rendered: true}
		for _, f := range files {
			// A path that is not in its shortest form would name a file in a second way,
			// unseen by the comparison of paths below.
			if f.Path == "." || !fs.ValidPath(f.Path) || kept(f.Path) {
				return fmt.Errorf("%s renders to %q, which is no path within the tree", it.Key, f.Path)
			}
			r.paths = append(r.paths, f.Path)
			if st, ok := old[f.Path]; ok && st.mode.IsRegular() && st.Size == int64(len(f.Content)) {
				have, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Path)))
				if err == nil && bytes.Equal(have, f.Content) {
					continue
				}
			}
			r.fresh = append(r.fresh, f)
		}
		results[i] = r
		return nil
	})
	if err != nil {
		return nil, err
	}
	p := &planned{fresh: map[string][]byte{}}
	owner := map[string]string{}
	for i, r := range results {
		p.report.Items++
		if r.rendered {
			p.report.Rendered++
		}
		for _, path := range r.paths {
			if first, taken := owner[path]; taken {
				return nil, fmt.Errorf("%s and %s both render to %s", first, items[i].Key, path)
			}
			owner[path] = items[i].Key
		}
		for _, f := range r.fresh {
			p.fresh[f.Path] = f.Content
		}
		p.keys = append(p.keys, items[i].Key)
		p.digest = append(p.digest, items[i].Digest)
		p.files = append(p.files, r.paths)
	}
	for path := range old {
		if _, ok := owner[path]; !ok && !kept(path) {
			p.remove = append(p.remove, path)
		}
	}
	slices.Sort(p.remove)
	p.report.Files = len(owner)
	p.report.Written = len(p.fresh)
	p.report.Removed = len(p.remove)
	return p, nil
}

// lock waits until no other process writes a tree in parent. The lock is the
// kernel's and on the folder itself, so it ends with the process that holds it
// and leaves no file behind.
func lock(ctx context.Context, parent string) (unlock func(), err error) {
	f, err := os.Open(parent)
	if err != nil {
		return nil, fmt.Errorf("lock the output: %w", err)
	}
	for {
		ok, err := tryLock(f)
		if err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", parent, err)
		}
		if ok {
			return func() { _ = f.Close() }, nil
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("another strata build is writing to %s: %w", parent, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
