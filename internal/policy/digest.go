package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/stratahq/strata/policies"
)

// Digest returns the SHA-256, in hexadecimal, of the text of all rules, the
// built-in ones and the repository's own. A sealed plan names it.
func (s *Set) Digest() (string, error) {
	h := sha256.New()
	add := func(name string, data []byte) {
		fmt.Fprintf(h, "%d:%s%d:", len(name), name, len(data))
		h.Write(data)
	}
	err := fs.WalkDir(policies.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := policies.FS.ReadFile(name)
		if err == nil {
			add("builtin:"+name, data)
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("digest of the rules: %w", err)
	}
	own := slices.Clone(s.sources)
	slices.SortFunc(own, func(a, b Source) int { return strings.Compare(a.File, b.File) })
	for _, src := range own {
		add(src.File, src.Data)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
