package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// tree is a file system to be. A tree gives the same bytes however it was filled.
type tree struct {
	nodes map[string]*tar.Header
	data  map[string][]byte
}

func newTree() *tree { return &tree{map[string]*tar.Header{}, map[string][]byte{}} }

// epoch is the time of every file: images are told apart by what is in them.
var epoch = time.Unix(0, 0)

func (t *tree) put(h *tar.Header) {
	h.ModTime, h.Format = epoch, tar.FormatPAX
	t.nodes[h.Name] = h
}

func (t *tree) dir(name string, mode uint32, uid, gid int) {
	if old, ok := t.nodes[name]; ok && old.Typeflag != tar.TypeDir {
		return // a link to a folder stays one
	}
	t.put(&tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: int64(mode), Uid: uid, Gid: gid})
}

func (t *tree) file(name string, data []byte, mode uint32) {
	t.put(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: int64(mode), Size: int64(len(data))})
	t.data[name] = data
}

func (t *tree) link(name, to string) {
	t.put(&tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to, Mode: 0o777})
}

// hard makes a copy: hard links would have to come in an order.
func (t *tree) hard(name, to string) error {
	h, ok := t.nodes[to]
	if !ok {
		return fmt.Errorf("%s is a link to %s, which is not there", name, to)
	}
	c := *h
	c.Name = name
	t.nodes[name] = &c
	t.data[name] = t.data[to]
	return nil
}

// layer returns the tree as the compressed tar of an OCI layer. Folders on the way
// that nobody made are made.
func (t *tree) layer() (data []byte, diffID string, err error) {
	for name := range maps.Clone(t.nodes) {
		for d := path.Dir(name); d != "/" && d != "."; d = path.Dir(d) {
			if _, ok := t.nodes[d]; !ok {
				t.dir(d, 0o755, 0, 0)
			}
		}
	}
	var buf bytes.Buffer
	z, err := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	if err != nil {
		return nil, "", err
	}
	plain := sha256.New()
	w := tar.NewWriter(io.MultiWriter(z, plain))
	for _, name := range slices.Sorted(maps.Keys(t.nodes)) {
		h := *t.nodes[name]
		h.Name = strings.TrimPrefix(name, "/")
		if h.Typeflag == tar.TypeDir {
			h.Name += "/"
		}
		if err := w.WriteHeader(&h); err != nil {
			return nil, "", fmt.Errorf("%s: %w", name, err)
		}
		if _, err := w.Write(t.data[name]); err != nil {
			return nil, "", fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	if err := z.Close(); err != nil {
		return nil, "", err
	}
	return buf.Bytes(), "sha256:" + hex.EncodeToString(plain.Sum(nil)), nil
}

var (
	shellNames   = []string{"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "busybox", "toybox"}
	shellFolders = []string{"/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin", "/usr/local/sbin"}
)

// shells returns the names of the shells in the tree, sorted.
func (t *tree) shells() []string {
	var out []string
	for name, h := range t.nodes {
		if h.Typeflag != tar.TypeDir && slices.Contains(shellNames, path.Base(name)) && slices.Contains(shellFolders, path.Dir(name)) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// authorities writes the bundle of certificate authorities that the postinst script of
// ca-certificates would make.
func authorities(t *tree) {
	const dir = "/usr/share/ca-certificates/mozilla/"
	var bundle bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(t.data)) {
		if strings.HasPrefix(name, dir) && strings.HasSuffix(name, ".crt") {
			bundle.Write(t.data[name])
		}
	}
	if bundle.Len() > 0 {
		t.file("/etc/ssl/certs/ca-certificates.crt", bundle.Bytes(), 0o644)
	}
}
