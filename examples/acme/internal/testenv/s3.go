package testenv

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// S3 plays object storage with one bucket, in memory. It refuses requests whose
// signature or digest is wrong.
type S3 struct {
	URL string
	// Down makes it answer every request with an error.
	Down atomic.Bool

	mu      sync.Mutex
	objects map[string][]byte
}

// What a program needs to use it.
const (
	S3Region = "eu-test-1"
	S3Bucket = "bucket"
	S3Key    = "AKTEST"
	S3Secret = "s3-secret"
)

// StartS3 starts one.
func StartS3(t *testing.T, ca CA) *S3 {
	t.Helper()
	s := &S3{objects: map[string][]byte{}}
	server := httptest.NewUnstartedServer(s)
	server.TLS = ca.Server.Clone()
	server.StartTLS()
	t.Cleanup(server.Close)
	s.URL = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	return s
}

// Env returns the variables of a bucket, whose names start with the prefix.
func (s *S3) Env(prefix string) map[string]string {
	return map[string]string{
		prefix + "_ENDPOINT": s.URL, prefix + "_REGION": S3Region, prefix + "_BUCKET": S3Bucket,
		prefix + "_ACCESS_KEY_ID": S3Key, prefix + "_SECRET_KEY": S3Secret,
	}
}

// Keys are those of all objects, sorted.
func (s *S3) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	for k := range s.objects {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// ServeHTTP implements http.Handler.
func (s *S3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fail := func(code int, name string) {
		w.WriteHeader(code)
		fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", name)
	}
	body, err := io.ReadAll(r.Body)
	switch {
	case s.Down.Load() || err != nil:
		fail(http.StatusServiceUnavailable, "SlowDown")
		return
	case !signed(r, body):
		fail(http.StatusForbidden, "SignatureDoesNotMatch")
		return
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if bucket != S3Bucket {
		fail(http.StatusNotFound, "NoSuchBucket")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Method == http.MethodPut:
		s.objects[key] = body
	case key == "":
		s.list(w, r)
	default:
		b, ok := s.objects[key]
		if !ok {
			fail(http.StatusNotFound, "NoSuchKey")
			return
		}
		_, _ = w.Write(b)
	}
}

// list answers with two objects a page, so that clients have to ask for the next one.
func (s *S3) list(w http.ResponseWriter, r *http.Request) {
	type object struct {
		Key          string
		Size         int
		LastModified time.Time
	}
	var out struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		Contents              []object
		IsTruncated           bool
		NextContinuationToken string
	}
	q := r.URL.Query()
	var keys []string
	for k := range s.objects {
		if strings.HasPrefix(k, q.Get("prefix")) && k > q.Get("continuation-token") {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	if len(keys) > 2 {
		keys, out.IsTruncated, out.NextContinuationToken = keys[:2], true, keys[1]
	}
	for _, k := range keys {
		out.Contents = append(out.Contents, object{k, len(s.objects[k]), time.Now().UTC()})
	}
	_ = xml.NewEncoder(w).Encode(out)
}

// signed signs the request once more and compares.
func signed(r *http.Request, body []byte) bool {
	sum := sha256.Sum256(body)
	payload := hex.EncodeToString(sum[:])
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || r.Header.Get("X-Amz-Content-Sha256") != payload {
		return false
	}
	again, err := http.NewRequestWithContext(r.Context(), r.Method, "https://"+r.Host+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return false
	}
	_, names, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	names, _, _ = strings.Cut(names, ",")
	for name := range strings.SplitSeq(names, ";") {
		if name != "host" && name != "content-length" {
			again.Header.Set(name, r.Header.Get(name))
		}
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	err = signer.SignHTTP(r.Context(), aws.Credentials{AccessKeyID: S3Key, SecretAccessKey: S3Secret}, again, payload, "s3", S3Region, at)
	return err == nil && again.Header.Get("Authorization") == r.Header.Get("Authorization")
}
