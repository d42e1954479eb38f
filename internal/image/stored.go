package image

import (
	"compress/gzip"
	"errors"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// stored is a layer in the cache. Its digests are on record, so that a layer of a
// hundred megabytes is not read for them.
type stored struct{ l Layer }

var _ v1.Layer = stored{}

func (s stored) Digest() (v1.Hash, error)            { return v1.NewHash(s.l.Digest) }
func (s stored) DiffID() (v1.Hash, error)            { return v1.NewHash(s.l.DiffID) }
func (s stored) Size() (int64, error)                { return s.l.Size, nil }
func (s stored) MediaType() (types.MediaType, error) { return types.OCILayer, nil }
func (s stored) Compressed() (io.ReadCloser, error)  { return os.Open(s.l.file) }
func (s stored) Uncompressed() (io.ReadCloser, error) {
	f, err := os.Open(s.l.file)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}
