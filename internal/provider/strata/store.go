package strata

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"regexp"

	"github.com/stratahq/strata/internal/cluster"
)

// store keeps the secrets of an environment.
type store interface {
	// read returns a secret, and a text that changes when it does and tells nothing
	// about it. ok is false where there is none.
	read(ctx context.Context, path string) (value, version string, ok bool, err error)
	// create makes a secret. One that is there stays as it is: it was made by an apply
	// that was cut off, or something uses it already.
	create(ctx context.Context, path, value string) error
	// remove removes a secret; one that is not there is gone already.
	remove(ctx context.Context, path string) error
}

// clusterStore names the store that is Secrets of the cluster itself.
const clusterStore = "kubernetes:" + cluster.SecretsNamespace

// store returns the store of that name; "" is the folder.
func (e *environment) store(name, kubeconfig string) (store, error) {
	switch name {
	case "":
		return folder{e.Secrets}, nil
	case clusterStore:
		if kubeconfig == "" {
			return nil, fmt.Errorf("the secret store %s needs the kubeconfig of its cluster", name)
		}
		c, err := e.client(kubeconfig)
		return inCluster{c}, err
	}
	return nil, fmt.Errorf("there is no secret store %q: it is %s, or nothing for a folder of the repository", name, clusterStore)
}

// paths are words joined by slashes; none begins with a dot, so that no path leads out
// of the folder.
var paths = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$`)

func checkPath(path string) error {
	if !paths.MatchString(path) || len(path) > 400 {
		return fmt.Errorf("%q is no path of a secret: it must be words of letters, digits and _ . -, joined by slashes", path)
	}
	return nil
}

// folder is a folder with a file for each secret. Only its owner may read it.
type folder struct{ dir string }

func (s folder) file(path string) string {
	return filepath.Join(s.dir, filepath.FromSlash(path)+".secret")
}

func (s folder) read(ctx context.Context, path string) (value, version string, ok bool, err error) {
	if err := errors.Join(checkPath(path), ctx.Err()); err != nil {
		return "", "", false, err
	}
	b, err := os.ReadFile(s.file(path))
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", false, nil
	}
	if err != nil {
		return "", "", false, err
	}
	info, err := os.Stat(s.file(path))
	if err != nil {
		return "", "", false, err
	}
	sum := sha256.Sum256([]byte(info.ModTime().String()))
	return string(b), hex.EncodeToString(sum[:8]), true, nil
}

func (s folder) create(ctx context.Context, path, value string) error {
	if err := errors.Join(checkPath(path), ctx.Err()); err != nil {
		return err
	}
	file := s.file(path)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
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

func (s folder) remove(ctx context.Context, path string) error {
	if err := errors.Join(checkPath(path), ctx.Err()); err != nil {
		return err
	}
	if err := os.Remove(s.file(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// inCluster keeps secrets in the environment's own cluster.
type inCluster struct{ c *cluster.Client }

func (s inCluster) read(ctx context.Context, path string) (value, version string, ok bool, err error) {
	if err := checkPath(path); err != nil {
		return "", "", false, err
	}
	return cluster.ReadSecret(ctx, s.c, path)
}

func (s inCluster) create(ctx context.Context, path, value string) error {
	if err := checkPath(path); err != nil {
		return err
	}
	_, err := cluster.WriteSecret(ctx, s.c, path, value, false)
	return err
}

func (s inCluster) remove(ctx context.Context, path string) error {
	if err := checkPath(path); err != nil {
		return err
	}
	return cluster.DeleteSecret(ctx, s.c, path)
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
