package standin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Object is one thing that a cloud has.
type Object struct {
	Type       string         `json:"type"`
	ID         string         `json:"id"`
	Attributes map[string]any `json:"attributes"`
}

// errExists says that an object with the same key is there.
var errExists = errors.New("already exists")

// cloud is a folder with one file for each object. Files appear whole and under
// their final name at once, so that many processes can work on it and any of them
// can be killed.
type cloud struct{ dir string }

// place is the file of an object: named after its key, which is thereby unique, or
// after its id.
func (c cloud) place(account, typ, name string) string {
	return filepath.Join(c.dir, account, typ, name+".json")
}

// fileName is the name of an object's file without an extension.
func (s *Server) fileName(typ, id string, attrs map[string]any) string {
	if key := s.key(typ, attrs); key != "" {
		return "key-" + sum(key)[:24]
	}
	return strings.NewReplacer("/", "_", ":", "_").Replace(id)
}

// key is the natural key of an object, or "" if its type has none.
func (s *Server) key(typ string, attrs map[string]any) string {
	facts := s.facts[typ]
	if len(facts.Key) == 0 {
		return ""
	}
	parts := []string{typ}
	for _, name := range facts.Key {
		b, err := json.Marshal(attrs[name])
		if err != nil {
			return ""
		}
		parts = append(parts, string(b))
	}
	return strings.Join(parts, "\x00")
}

// write puts an object into its file. A new one must not be there yet, unless
// upsert says that it may.
func (c cloud) write(file string, o Object, fresh bool) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	b, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(b, '\n'))
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if !fresh {
		return os.Rename(tmp.Name(), file)
	}
	if err := os.Link(tmp.Name(), file); errors.Is(err, fs.ErrExist) {
		return errExists
	} else if err != nil {
		return err
	}
	return nil
}

func (c cloud) read(file string) (Object, bool, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Object{}, false, nil
	}
	if err != nil {
		return Object{}, false, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var o Object
	if err := d.Decode(&o); err != nil {
		return o, false, fmt.Errorf("%s: %w", file, err)
	}
	return o, true, nil
}

// list returns the objects of an account, sorted by type and file; typ "" means all
// types.
func (c cloud) list(account, typ string) ([]Object, error) {
	pattern := typ
	if pattern == "" {
		pattern = "*"
	}
	files, err := filepath.Glob(filepath.Join(c.dir, account, pattern, "*.json"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var out []Object
	for _, f := range files {
		o, ok, err := c.read(f)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, o)
		}
	}
	return out, nil
}

// create makes an object: its id is chosen here.
func (s *Server) create(typ string, b Block, planned map[string]any) (map[string]any, error) {
	facts := s.facts[typ]
	for n := 1; ; n++ {
		id := s.newID(typ, b, planned, n)
		out := s.fill(typ, id, b, planned)
		if s.cloud == nil {
			return out, nil
		}
		file := s.cloud.place(s.account, typ, s.fileName(typ, id, out))
		err := s.cloud.write(file, Object{typ, id, out}, !facts.Upsert)
		if errors.Is(err, errExists) && len(facts.Key) == 0 {
			continue // the cloud makes as many as it is asked for
		}
		return out, err
	}
}

// newID is the n-th id for an object.
func (s *Server) newID(typ string, b Block, planned map[string]any, n int) string {
	facts := s.facts[typ]
	known := map[string]any{}
	for k, v := range planned {
		if wholly(v) {
			known[k] = v
		}
	}
	text, err := json.Marshal(known)
	if err != nil {
		text = []byte(typ)
	}
	hash := sum(typ, s.account, string(text), strconv.Itoa(n))[:17]
	if facts.ID != "" {
		value := func(name string) (string, bool) {
			switch name {
			case "hash":
				return hash, true
			case "account_id":
				return s.account, true
			case "region":
				return s.region, true
			case "partition":
				return "aws", true
			}
			return scalar(known[name])
		}
		if id, ok := expand(facts.ID, value); ok {
			return id
		}
	}
	prefix := facts.IDPrefix
	if prefix == "" {
		_, rest, _ := strings.Cut(typ, "_")
		prefix = strings.ReplaceAll(rest, "_", "-") + "-"
	}
	_ = b
	return prefix + hash
}

// find returns the object that an import id names.
func (s *Server) find(typ, id string) (map[string]any, bool, error) {
	if s.cloud == nil {
		return nil, false, nil
	}
	list, err := s.cloud.list(s.account, typ)
	if err != nil {
		return nil, false, err
	}
	for _, o := range list {
		if have, ok := s.facts.ImportID(typ, o.Attributes); ok && have == id || o.ID == id {
			return o.Attributes, true, nil
		}
	}
	return nil, false, nil
}

func (c cloud) remove(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
