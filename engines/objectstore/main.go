// Command strata-objectstore serves one bucket with the S3 protocol out of a folder. The
// gateway is versitygw; what is here makes the bucket and reads the credentials from
// files. It is the server in the image objectstore, which strata-entry starts.
package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/pkg/xattr"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3err"
)

// settings are the program's arguments.
type settings struct {
	dir, address, region, health string
	access, secretFile           string
	cert, key                    string
	bucket, cors                 string
	versioning                   bool
}

func main() {
	var s settings
	flag.StringVar(&s.dir, "dir", "", "folder that everything is kept in")
	flag.StringVar(&s.address, "address", ":9000", "address to listen on")
	flag.StringVar(&s.region, "region", "local", "region that requests are signed for")
	flag.StringVar(&s.health, "health", "/-/healthy", "path at which GET succeeds once requests are served")
	flag.StringVar(&s.access, "access-key", "", "access key of the user")
	flag.StringVar(&s.secretFile, "secret-file", "", "file with the user's secret key")
	flag.StringVar(&s.cert, "cert", "", "certificate chain; none: plain text")
	flag.StringVar(&s.key, "key", "", "key of the certificate")
	flag.StringVar(&s.bucket, "bucket", "", "bucket to make")
	flag.StringVar(&s.cors, "cors", "", "origins of web pages that may use the bucket, joined by commas")
	flag.BoolVar(&s.versioning, "versioning", false, "keep what is overwritten or deleted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, &s); err != nil && !errors.Is(err, context.Canceled) {
		slog.Error("strata-objectstore", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s *settings) error {
	secret, err := os.ReadFile(s.secretFile)
	if err != nil {
		return err
	}
	store, err := open(s.dir)
	if err != nil {
		return err
	}
	if err := s.prepare(ctx, store); err != nil {
		return fmt.Errorf("bucket %s: %w", s.bucket, err)
	}
	return embedgw.RunVersityGW(ctx, store, &embedgw.Config{
		RootUserAccess: s.access, RootUserSecret: strings.TrimRight(string(secret), "\r\n"), Region: s.region,
		Ports: []string{s.address}, CertFile: s.cert, KeyFile: s.key, HealthPath: s.health,
		MaxConnections: 1024, MaxRequests: 512, MultipartMaxParts: 10_000, KeepAlive: true, Quiet: true, DisableACLs: true,
	})
}

// open opens the store in a folder. What S3 knows of an object beside its bytes goes
// into extended attributes, which change together with the file; a file system that has
// none keeps them in files beside, and goes on doing so.
func open(dir string) (backend.Backend, error) {
	objects, versions, attributes := filepath.Join(dir, "objects"), filepath.Join(dir, "versions"), filepath.Join(dir, "attributes")
	for _, d := range []string{objects, versions} {
		if err := os.MkdirAll(d, 0o750); err != nil {
			return nil, err
		}
	}
	_, err := os.Stat(attributes)
	if errors.Is(err, fs.ErrNotExist) {
		if xattr.Set(objects, "user.strata", []byte("1")) == nil {
			return posix.New(objects, meta.XattrMeta{}, posix.PosixOpts{VersioningDir: versions})
		}
		err = os.Mkdir(attributes, 0o750)
	}
	if err != nil {
		return nil, err
	}
	beside, err := meta.NewSideCar(attributes)
	if err != nil {
		return nil, err
	}
	return posix.New(objects, beside, posix.PosixOpts{VersioningDir: versions, SideCarDir: attributes})
}

// prepare makes the bucket, and makes true what is said of it.
func (s *settings) prepare(ctx context.Context, store backend.Backend) error {
	if s.bucket == "" {
		return errors.New("its name is not given: -bucket")
	}
	acl, err := json.Marshal(auth.ACL{Owner: s.access})
	if err != nil {
		return err
	}
	_, err = store.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.bucket})
	if isMissing(err) {
		owned := context.WithValue(ctx, "bucket-owner", auth.Account{Access: s.access}) //nolint:revive,staticcheck // the key is versitygw's
		err = store.CreateBucket(owned, &s3.CreateBucketInput{
			Bucket: &s.bucket, ObjectOwnership: types.ObjectOwnershipBucketOwnerEnforced, CreateBucketConfiguration: &types.CreateBucketConfiguration{},
		}, acl)
	}
	if err != nil {
		return err
	}
	status := types.BucketVersioningStatusSuspended
	if s.versioning {
		status = types.BucketVersioningStatusEnabled
	}
	// A bucket that never had versions is not suspended, it has none.
	if now, err := store.GetBucketVersioning(ctx, s.bucket); s.versioning || err == nil && now.Status != nil {
		if err := store.PutBucketVersioning(ctx, s.bucket, status); err != nil {
			return err
		}
	}
	if s.cors == "" {
		return store.DeleteBucketCors(ctx, s.bucket)
	}
	rules, err := corsOf(strings.Split(s.cors, ","))
	if err != nil {
		return err
	}
	return store.PutBucketCors(ctx, s.bucket, rules)
}

func isMissing(err error) bool {
	var api s3err.S3Error
	return errors.As(err, &api) && api.BaseError().Code == "NoSuchBucket"
}

// corsOf returns the S3 configuration that lets pages of some origins read and write.
func corsOf(origins []string) ([]byte, error) {
	type rule struct {
		Origins []string `xml:"AllowedOrigin"`
		Methods []string `xml:"AllowedMethod"`
		Headers []string `xml:"AllowedHeader"`
		Expose  []string `xml:"ExposeHeader"`
		MaxAge  int      `xml:"MaxAgeSeconds"`
	}
	return xml.Marshal(struct {
		XMLName xml.Name `xml:"CORSConfiguration"`
		Rules   []rule   `xml:"CORSRule"`
	}{Rules: []rule{{Origins: origins, Methods: []string{"GET", "HEAD", "PUT", "POST", "DELETE"}, Headers: []string{"*"}, Expose: []string{"ETag"}, MaxAge: 3600}}})
}
