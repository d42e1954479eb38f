package strata

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
)

// secrets is a folder with a file for each secret. Only its owner may read it.
type secrets struct{ dir string }

// paths are words joined by slashes; none begins with a dot, so that no path leads out
// of the folder.
var paths = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$`)

func (s secrets) file(path string) (string, error) {
	if !paths.MatchString(path) || len(path) > 400 {
		return "", fmt.Errorf("%q is no path of a secret: it must be words of letters, digits and _ . -, joined by slashes", path)
	}
	return filepath.Join(s.dir, filepath.FromSlash(path)+".secret"), nil
}

// has reports whether there is a secret.
func (s secrets) has(path string) (bool, error) {
	file, err := s.file(path)
	if err != nil {
		return false, err
	}
	_, err = os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// create makes a secret of so many characters. One that is there stays as it is: it
// was made by an apply that was cut off, or something uses it already.
func (s secrets) create(path string, length int64) error {
	file, err := s.file(path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	value, err := generate(length)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".new-") // only its owner may read it
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(value)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	// A link fails where there is a file already.
	if err := os.Link(tmp.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// remove removes a secret; one that is not there is gone already.
func (s secrets) remove(path string) error {
	file, err := s.file(path)
	if err != nil {
		return err
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// generate draws a password of letters and digits, which need no quoting anywhere.
func generate(length int64) (string, error) {
	out := make([]byte, length)
	most := big.NewInt(int64(len(letters)))
	for i := range out {
		n, err := rand.Int(rand.Reader, most)
		if err != nil {
			return "", err
		}
		out[i] = letters[n.Int64()]
	}
	return string(out), nil
}
