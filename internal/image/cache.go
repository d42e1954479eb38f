package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/partial"
)

// DefaultCache is the folder that images are kept in.
func DefaultCache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("images are kept in the user's cache folder: %w", err)
	}
	return filepath.Join(dir, "strata", "images"), nil
}

// keptLayers is how many layers of one recipe the cache keeps: enough for several
// repositories, branches and ways back, while programs are built many times a day.
const keptLayers = 12

func (b *Builder) layerBase(key string) string {
	return filepath.Join(b.Cache, "layers", filepath.FromSlash(key))
}

// readLayer returns the layer of a key; the error wraps fs.ErrNotExist where it is not
// in the cache, or not whole.
func (b *Builder) readLayer(key string) (*Layer, error) {
	base := b.layerBase(key)
	data, err := os.ReadFile(base + ".json")
	if err != nil {
		return nil, err
	}
	l := Layer{}
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, fmt.Errorf("%s.json: %w", base, errors.Join(fs.ErrNotExist, err))
	}
	l.Key, l.file = key, base+".tar.gz"
	b.used(key)
	return &l, whole(l)
}

// used makes a layer the last one that is let go of: who has found it reads it later, while
// others may write theirs. In a cache that this user may not write, it stays as it is.
func (b *Builder) used(key string) {
	now := time.Now()
	_ = os.Chtimes(b.layerBase(key)+".json", now, now)
}

// whole says whether a layer's file is there as it was written.
func whole(l Layer) error {
	info, err := os.Stat(l.file)
	if err == nil && info.Size() != l.Size {
		err = fmt.Errorf("%s was cut off: %w", l.file, fs.ErrNotExist)
	}
	return err
}

// writeLayer keeps a layer, and lets go of those that were not used for long.
func (b *Builder) writeLayer(l *Layer, data []byte) error {
	base := b.layerBase(l.Key)
	l.file = base + ".tar.gz"
	meta, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if err := errors.Join(replace(l.file, data), replace(base+".json", meta)); err != nil {
		return err
	}
	return prune(filepath.Dir(base), ".json", keptLayers, func(base string) error {
		return errors.Join(os.Remove(base+".json"), os.Remove(base+".tar.gz"))
	})
}

// prune removes all but the newest files with a suffix from a folder. remove is given
// the name without the suffix.
func prune(dir, suffix string, keep int, remove func(base string) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var list []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), suffix) {
			list = append(list, info)
		}
	}
	slices.SortFunc(list, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, info := range list[min(keep, len(list)):] {
		if err := remove(filepath.Join(dir, strings.TrimSuffix(info.Name(), suffix))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (b *Builder) recordFile(digest string) string {
	return filepath.Join(b.Cache, "images", strings.TrimPrefix(digest, "sha256:")+".json")
}

// remember keeps what an image is, so that it is found by its digest.
func (b *Builder) remember(img *Image) error {
	file := b.recordFile(img.Digest)
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	r := record{Image: img}
	var err error
	if r.Manifest, err = img.Image.RawManifest(); err != nil {
		return err
	}
	if r.Config, err = img.Image.RawConfigFile(); err != nil {
		return err
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return replace(file, data)
}

// recall returns the image with a digest; the error wraps fs.ErrNotExist where it is
// not in the cache, or not whole.
func (b *Builder) recall(digest string) (*Image, error) {
	data, err := os.ReadFile(b.recordFile(digest))
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", b.recordFile(digest), errors.Join(fs.ErrNotExist, err))
	}
	if have, err := digestOf(r.Manifest); err != nil || have != digest || r.Image == nil {
		return nil, fmt.Errorf("%s is not what was written: %w", b.recordFile(digest), errors.Join(fs.ErrNotExist, err))
	}
	for i := range r.Image.Layers {
		l := &r.Image.Layers[i]
		l.file = b.layerBase(l.Key) + ".tar.gz"
		b.used(l.Key)
		if err := whole(*l); err != nil {
			return nil, err
		}
	}
	img, err := partial.CompressedToImage(&r)
	if err != nil {
		return nil, err
	}
	r.Image.Image = img
	return r.Image, nil
}

// replace writes a file as a whole.
func replace(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
