package manifest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"

	"github.com/stratahq/strata/internal/model"
)

// cacheFormat is part of the cache's header: raise it when a model type or the
// decoder changes, so that what an older Strata decoded is not believed.
const cacheFormat = "strata documents 2"

// smallest number of documents for which a cache is worth its file.
const cacheWorthwhile = 200

// memory remembers the workloads and releases that decoded without a single
// diagnostic, by file. One is used only when the file's bytes have the same
// SHA-256. Other kinds are few and decode quickly enough. The file must lie where only the user writes: whoever can
// write it decides what a repository is believed to say.
type memory struct {
	workloads map[string]*model.Workload
	releases  map[string]*model.Release
	hits      atomic.Int64
}

// remembered is the file's content.
type remembered struct {
	Format    string
	Workloads []*model.Workload
	Releases  []*model.Release
}

func init() {
	// Free-form values of the model; see decoder.any.
	gob.Register(map[string]any{})
	gob.Register([]any{})
}

// recall reads a cache file. A file that is missing, damaged or of another
// format is an empty cache.
func recall(file string) *memory {
	m := &memory{workloads: map[string]*model.Workload{}, releases: map[string]*model.Release{}}
	if file == "" {
		return m
	}
	f, err := os.Open(file)
	if err != nil {
		return m
	}
	defer f.Close()
	var r remembered
	if err := gob.NewDecoder(bufio.NewReaderSize(f, 1<<20)).Decode(&r); err != nil || r.Format != cacheFormat {
		return m
	}
	for _, w := range r.Workloads {
		m.workloads[w.Source.File] = w
	}
	for _, rel := range r.Releases {
		m.releases[rel.Source.File] = rel
	}
	return m
}

// gobKeeps reports whether a value comes out of a gob as it went in. A gob makes an
// empty map or list and a pointer to an empty text nil, and has no null in a map.
func gobKeeps(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		e := v.Elem()
		return v.IsNil() || (e.Kind() == reflect.Struct || !e.IsZero()) && gobKeeps(e)
	case reflect.Interface:
		return !v.IsNil() && gobKeeps(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if !gobKeeps(v.Field(i)) {
				return false
			}
		}
	case reflect.Map:
		if v.Len() == 0 {
			return v.IsNil()
		}
		for it := v.MapRange(); it.Next(); {
			if !gobKeeps(it.Value()) {
				return false
			}
		}
	case reflect.Slice:
		if v.Len() == 0 {
			return v.IsNil()
		}
		for i := range v.Len() {
			if !gobKeeps(v.Index(i)) {
				return false
			}
		}
	}
	return true
}

// recalled returns what was remembered of a file with these bytes.
func recalled[T any](m *memory, docs map[string]*T, file string, src []byte, digest func(*T) [32]byte) (*T, bool) {
	have, ok := docs[file]
	if !ok || digest(have) != sha256.Sum256(src) {
		return nil, false
	}
	m.hits.Add(1)
	return have, true
}

// save replaces the cache file when what it should hold has changed. It only
// saves work, so the caller need not care about its error.
func (m *memory) save(file string, works []*model.Workload, rels []*model.Release) error {
	want, had := len(works)+len(rels), len(m.workloads)+len(m.releases)
	// What is not in the cache is decoded again, which is cheaper than writing
	// the whole cache anew as long as it is one document in a thousand.
	hits := int(m.hits.Load())
	if file == "" || want < cacheWorthwhile || (want-hits)+(had-hits) <= want/1000 {
		return nil
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(remembered{cacheFormat, works, rels}); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(file), ".documents-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(b.Bytes())
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), file)
}
