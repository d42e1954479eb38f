package plan

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/addr"
)

// The names of a file's entries. Blobs are units/UNIT/NAME.
const (
	manifestEntry  = "plan.json"
	sealEntry      = "seal"
	approvalFolder = "approvals"
	unitFolder     = "units"
)

// Bounds of what is read. A plan of ten thousand workloads stays well below them; a
// file that was made to fill the memory does not get there.
const (
	maxFile      = 4 << 30
	maxTotal     = 8 << 30
	maxEntries   = 1 << 20
	maxManifest  = 512 << 20
	maxBlob      = 512 << 20
	maxApproval  = 64 << 10
	maxApprovals = 100
)

// File is a saved plan that was opened and verified: every blob has the digest that
// the plan lists, and the plan has its seal.
type File struct {
	// Plan is what would be carried out.
	Plan *Plan
	// Seal names the plan in approvals.
	Seal Seal
	// Approvals are those kept in the file, in the order in which they were added.
	// Whether they count is for Check to say.
	Approvals []Approval

	path    string
	file    *os.File
	blobs   map[string]string
	entries map[string]*zip.File
}

// Open reads a saved plan and verifies it. The caller closes the File. The error
// wraps *FormatError for a plan of another Strata, *SealError where something
// differs from what was sealed, and ErrDamaged for all else that is wrong with the
// file's content.
func Open(name string) (_ *File, err error) {
	h, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	info, err := h.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", name)
	}
	f, err := read(h, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	f.path, f.file = name, h
	return f, nil
}

// Close releases the file. The plan, its seal and its approvals stay readable.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// Path returns the name under which the plan was opened.
func (f *File) Path() string { return f.path }

// Blobs returns the names of a unit's blobs, sorted.
func (f *File) Blobs(u addr.Unit) []string {
	var out []string
	for entry := range f.blobs {
		if of, name, ok := splitEntry(f.Plan.Environment, entry); ok && of == u {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Blob returns what was saved for a unit under a name. It is compared with the
// sealed digest once more, because time may have passed since Open. The error is
// os.ErrNotExist when the plan has no such blob, and otherwise as Open's.
func (f *File) Blob(u addr.Unit, name string) ([]byte, error) {
	entry := unitEntry(u, name)
	want, ok := f.blobs[entry]
	if !ok {
		return nil, fmt.Errorf("the plan holds no %s of %s: %w", name, u, os.ErrNotExist)
	}
	var b strings.Builder
	if err := verify(f.entries[entry], blobWords(u, name), want, &b); err != nil {
		return nil, err
	}
	return []byte(b.String()), nil
}

func read(r io.ReaderAt, size int64) (*File, error) {
	if size > maxFile {
		return nil, damaged("it has %d MiB", size>>20)
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, damaged("%v", err)
	}
	f := &File{entries: map[string]*zip.File{}}
	if err := f.index(z); err != nil {
		return nil, err
	}
	data, err := readEntry(f.entries[manifestEntry], maxManifest)
	if err != nil {
		return nil, err
	}
	// The seal comes first: if that is wrong, it does not matter what the plan says.
	seal, err := readEntry(f.entries[sealEntry], sha256.Size*2+1)
	if err != nil {
		return nil, err
	}
	f.Seal = Seal(sum(data))
	if want := strings.TrimSuffix(string(seal), "\n"); want+"\n" != string(seal) || !hexDigest.MatchString(want) {
		return nil, damaged("the seal is no digest")
	} else if want != string(f.Seal) {
		return nil, &SealError{"the plan", want, string(f.Seal)}
	}
	m, err := decodeManifest(data)
	if err != nil {
		return nil, err
	}
	f.Plan, f.blobs = m.Plan, m.Blobs
	return f, f.verify(z)
}

// index notes the file's entries and refuses all that this package does not write.
func (f *File) index(z *zip.Reader) error {
	if len(z.File) > maxEntries {
		return damaged("it has %d entries", len(z.File))
	}
	if z.Comment != "" {
		return damaged("it has a comment")
	}
	var total uint64
	last := ""
	for _, e := range z.File {
		// Ascending names are unique names.
		if e.Name <= last {
			return damaged("entry %q is out of order, or there twice", e.Name)
		}
		last = e.Name
		if len(e.Extra) > 0 || e.Comment != "" || e.Method != zip.Deflate {
			return damaged("entry %q is not as Strata writes it", e.Name)
		}
		if e.UncompressedSize64 > maxBlob {
			return damaged("entry %q has %d MiB", e.Name, e.UncompressedSize64>>20)
		}
		if total += e.UncompressedSize64; total > maxTotal {
			return damaged("its entries have more than %d MiB", maxTotal>>20)
		}
		f.entries[e.Name] = e
	}
	for _, name := range []string{manifestEntry, sealEntry} {
		if f.entries[name] == nil {
			return damaged("it has no %s", name)
		}
	}
	return nil
}

// verify reads everything else: blobs against their digests, approvals for form.
func (f *File) verify(z *zip.Reader) error {
	for _, e := range z.File {
		switch want, isBlob := f.blobs[e.Name]; {
		case e.Name == manifestEntry, e.Name == sealEntry:
		case isBlob:
			u, name, _ := splitEntry(f.Plan.Environment, e.Name)
			if err := verify(e, blobWords(u, name), want, io.Discard); err != nil {
				return err
			}
		case e.Name == approvalEntry(len(f.Approvals)) && len(f.Approvals) < maxApprovals:
			data, err := readEntry(e, maxApproval)
			if err != nil {
				return err
			}
			a, err := decodeApproval(data)
			if err != nil {
				return damaged("%s: %v", e.Name, err)
			}
			f.Approvals = append(f.Approvals, a)
		default:
			return damaged("entry %q is not in the plan", e.Name)
		}
	}
	for entry, want := range f.blobs {
		if f.entries[entry] == nil {
			u, name, _ := splitEntry(f.Plan.Environment, entry)
			return &SealError{What: blobWords(u, name), Want: want}
		}
	}
	return nil
}

// approvalEntry is the name of the entry of the approval with that index.
func approvalEntry(i int) string {
	return path.Join(approvalFolder, fmt.Sprintf("%03d.json", i+1))
}

// readEntry reads an entry of at most limit bytes.
func readEntry(e *zip.File, limit int64) ([]byte, error) {
	r, err := e.Open()
	if err != nil {
		return nil, damaged("%s: %v", e.Name, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, damaged("%s: %v", e.Name, err)
	}
	if int64(len(data)) > limit {
		return nil, damaged("%s has more than %d bytes", e.Name, limit)
	}
	return data, nil
}

// verify copies an entry to w and compares its digest.
func verify(e *zip.File, what, want string, w io.Writer) error {
	r, err := e.Open()
	if err != nil {
		return damaged("%s: %v", what, err)
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(h, w), io.LimitReader(r, maxBlob+1))
	// The archive's own checksum notices the same as the digest, but cannot say
	// what was sealed.
	if err != nil && !errors.Is(err, zip.ErrChecksum) {
		return damaged("%s: %v", what, err)
	}
	if n > maxBlob {
		return damaged("%s has more than %d MiB", what, maxBlob>>20)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want || err != nil {
		return &SealError{what, want, got}
	}
	return nil
}
