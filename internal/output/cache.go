package output

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// cacheVersion is raised when the cache file's form changes.
const cacheVersion = 1

// cache remembers which digest each item was written with, and what the files
// looked like to stat then: a file that was touched since is compared again.
type cache struct {
	Version int                 `json:"version"`
	Items   map[string]itemSeen `json:"items"`
}

type itemSeen struct {
	Digest string          `json:"digest"`
	Files  map[string]stat `json:"files"`
}

func loadCache(file string) cache {
	var c cache
	b, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(b, &c) != nil || c.Version != cacheVersion {
		return cache{}
	}
	return c
}

// unchanged reports whether the item was written with the same digest and its
// files are untouched; it returns their paths.
func (c cache) unchanged(it Item, old map[string]stat) ([]string, bool) {
	seen, ok := c.Items[it.Key]
	if !ok || seen.Digest != it.Digest || it.Digest == "" {
		return nil, false
	}
	paths := make([]string, 0, len(seen.Files))
	for path, want := range seen.Files {
		have, ok := old[path]
		if !ok || have.Size != want.Size || have.MTime != want.MTime || !have.mode.IsRegular() {
			return nil, false
		}
		paths = append(paths, path)
	}
	return paths, true
}

// stale reports whether the cache knows items that are no more.
func (c cache) stale(items []Item) bool { return len(c.Items) != len(items) }

// saveCache replaces the cache file. It stats the tree as it is now.
func (p *planned) saveCache(file, dir string) error {
	now, err := scan(dir)
	if err != nil {
		return err
	}
	c := cache{Version: cacheVersion, Items: make(map[string]itemSeen, len(p.keys))}
	for i, key := range p.keys {
		seen := itemSeen{Digest: p.digest[i], Files: make(map[string]stat, len(p.files[i]))}
		for _, path := range p.files[i] {
			seen.Files[path] = now[path]
		}
		c.Items[key] = seen
	}
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(file), ".build-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	if _, err := temp.Write(b); err != nil {
		_ = temp.Close()
		return err
	}
	if err := temp.Close(); err != nil {
		return err
	}
	return os.Rename(temp.Name(), file)
}
