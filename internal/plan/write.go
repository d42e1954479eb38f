package plan

import (
	"archive/zip"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/stratahq/strata/internal/addr"
)

// Writer writes a plan's file. It can be used from several goroutines.
type Writer struct {
	path string
	plan *Plan

	mu    sync.Mutex
	spool *os.File
	zip   *zip.Writer
	blobs map[string]string
	seal  Seal
	done  bool
}

// NewWriter begins the file of a plan. The plan is read when Close is called, so it
// may still grow while blobs are added. Nothing is at name until then. The error is
// about the folder, which must be writable.
func NewWriter(name string, p *Plan) (*Writer, error) {
	// Blobs come in the order in which they are made, and go into the file in the
	// order of their names; until then they lie in a file that has no name, so that
	// nothing is left when the process is killed.
	spool, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return nil, fmt.Errorf("begin a plan: %w", err)
	}
	if err := os.Remove(spool.Name()); err != nil {
		return nil, fmt.Errorf("begin a plan: %w", errors.Join(err, spool.Close()))
	}
	return &Writer{path: name, plan: p, spool: spool, zip: zip.NewWriter(spool), blobs: map[string]string{}}, nil
}

// Add saves what r holds for a unit under a name, such as SavedPlan, and returns its
// SHA-256 in hexadecimal. The error is about r, the disk, a name that is taken or
// none, or more bytes than a blob may have; after it the Writer is only good for
// Abort.
func (w *Writer) Add(u addr.Unit, name string, r io.Reader) (digest string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	what := blobWords(u, name)
	entry := unitEntry(u, name)
	switch of, _, ok := splitEntry(u.Env, entry); {
	case w.done:
		return "", fmt.Errorf("%s: the plan's file is closed", what)
	case !ok || of != u:
		return "", fmt.Errorf("%s: that is no name of a file", what)
	case w.blobs[entry] != "":
		return "", fmt.Errorf("%s is there already", what)
	}
	out, err := w.zip.CreateHeader(&zip.FileHeader{Name: entry, Method: zip.Deflate})
	if err != nil {
		return "", fmt.Errorf("write %s: %w", what, err)
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, h), io.LimitReader(r, maxBlob+1))
	if err != nil {
		return "", fmt.Errorf("write %s: %w", what, err)
	}
	if n > maxBlob {
		return "", fmt.Errorf("%s has more than the %d MiB that a plan can hold", what, maxBlob>>20)
	}
	digest = hex.EncodeToString(h.Sum(nil))
	w.blobs[entry] = digest
	return digest, nil
}

// Close seals the plan and puts its file in place, as a whole or not at all. A plan
// that could not be read back is refused: a unit of another environment, a saved
// plan whose blob was not added.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return nil
	}
	w.done = true
	err := w.finish()
	return errors.Join(err, w.spool.Close())
}

// Abort gives up: nothing is written. After Close it does nothing, so it can be
// deferred.
func (w *Writer) Abort() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.done {
		w.done = true
		_ = w.spool.Close()
	}
}

// Seal returns the seal of what was written; it is empty before Close.
func (w *Writer) Seal() Seal {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seal
}

func (w *Writer) finish() error {
	data, err := encodeManifest(w.plan, w.blobs)
	if err != nil {
		return err
	}
	seal := Seal(sum(data))
	if err := w.zip.Close(); err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	size, err := w.spool.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	z, err := zip.NewReader(w.spool, size)
	if err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	parts := []part{{name: manifestEntry, data: data}, {name: sealEntry, data: []byte(seal + "\n")}}
	for _, e := range z.File {
		parts = append(parts, part{name: e.Name, copied: e})
	}
	if err := writeFile(w.path, parts); err != nil {
		return err
	}
	w.seal = seal
	return nil
}

// part is an entry to be written: data, or one copied as it is.
type part struct {
	name   string
	data   []byte
	copied *zip.File
}

// writeFile puts a file of these parts in place. Readers see the old file or the
// new one; so does the disk after a loss of power.
func writeFile(name string, parts []part) (err error) {
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.name, b.name) })
	dir := filepath.Dir(name)
	temp, err := os.CreateTemp(dir, "."+filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write the plan: %w", errors.Join(err, ignoreMissing(os.Remove(temp.Name()))))
		}
	}()
	if err := errors.Join(writeParts(temp, parts), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), name); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func writeParts(w io.Writer, parts []part) error {
	z := zip.NewWriter(w)
	for _, p := range parts {
		if p.copied != nil {
			if err := z.Copy(p.copied); err != nil {
				return err
			}
			continue
		}
		// Without a time the same plan is the same bytes.
		out, err := z.CreateHeader(&zip.FileHeader{Name: p.name, Method: zip.Deflate})
		if err != nil {
			return err
		}
		if _, err := out.Write(p.data); err != nil {
			return err
		}
	}
	return z.Close()
}

// AddApproval adds an approval to the plan's file, which is replaced as a whole. Of
// two people who approve at the same time, both stay. An approval that is there
// already changes nothing. The error says that the signature is not over this plan,
// that the file now holds another plan, or that it cannot be written.
func (f *File) AddApproval(a Approval) error {
	if err := a.signs(f.Message()); err != nil {
		return err
	}
	data, err := encodeApproval(a)
	if err != nil {
		return err
	}
	lock, err := lockFile(f.path)
	if err != nil {
		return err
	}
	defer lock.Close()
	now, err := Open(f.path)
	if err != nil {
		return err
	}
	defer now.Close()
	if now.Seal != f.Seal {
		return fmt.Errorf("%s: %w", f.path, &SealError{"the plan", string(f.Seal), string(now.Seal)})
	}
	if slices.ContainsFunc(now.Approvals, func(b Approval) bool { return a.Person == b.Person && a.Signature == b.Signature }) {
		f.Approvals = now.Approvals
		return nil
	}
	if len(now.Approvals) == maxApprovals {
		return fmt.Errorf("%s has %d approvals; it takes no more", f.path, maxApprovals)
	}
	parts := []part{{name: approvalEntry(len(now.Approvals)), data: data}}
	for name, e := range now.entries {
		parts = append(parts, part{name: name, copied: e})
	}
	if err := writeFile(f.path, parts); err != nil {
		return err
	}
	f.Approvals = append(now.Approvals, a)
	return nil
}

// lockFile locks the file that is at a name, until it is closed.
func lockFile(name string) (*os.File, error) {
	for {
		h, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(h.Fd()), unix.LOCK_EX); err != nil {
			return nil, fmt.Errorf("lock %s: %w", name, errors.Join(err, h.Close()))
		}
		mine, err := h.Stat()
		if err != nil {
			return nil, errors.Join(err, h.Close())
		}
		// Whoever had the lock replaced the file: what is locked now is the old one.
		if there, err := os.Stat(name); err == nil && os.SameFile(mine, there) {
			return h, nil
		}
		if err := h.Close(); err != nil {
			return nil, err
		}
	}
}
