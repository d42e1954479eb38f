// Package objects puts files into a bucket and gets them out. It speaks the four calls
// of the S3 protocol that are needed here and leaves their signing to the AWS SDK.
package objects

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"example.com/acme/internal/env"
	"example.com/acme/internal/httpx"
)

// maxObject is the largest object that is read.
const maxObject = 16 << 20

// ErrNotFound says that there is no object under the key.
var ErrNotFound = errors.New("no such object")

// Bucket is a bucket and who uses it.
type Bucket struct {
	endpoint *url.URL
	region   string
	name     string
	creds    aws.Credentials
	client   *http.Client
	signer   *v4.Signer
}

// FromEnv reads <prefix>_ENDPOINT, _REGION, _BUCKET, _ACCESS_KEY_ID and _SECRET_KEY.
func FromEnv(e *env.Reader, prefix string) *Bucket {
	return &Bucket{
		endpoint: e.URL(prefix+"_ENDPOINT", "https", "http"),
		region:   e.String(prefix + "_REGION"),
		name:     e.String(prefix + "_BUCKET"),
		creds:    aws.Credentials{AccessKeyID: e.String(prefix + "_ACCESS_KEY_ID"), SecretAccessKey: e.String(prefix + "_SECRET_KEY")},
		client:   httpx.NewClient(10 * time.Second),
		signer:   v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }),
	}
}

// Object is what a listing says of an object.
type Object struct {
	Key      string    `xml:"Key"`
	Size     int64     `xml:"Size"`
	Modified time.Time `xml:"LastModified"`
}

// Put writes an object.
func (b *Bucket) Put(ctx context.Context, key, contentType string, body []byte) error {
	resp, err := b.do(ctx, http.MethodPut, key, nil, contentType, body)
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return resp.Body.Close()
}

// Get reads an object.
func (b *Bucket) Get(ctx context.Context, key string) ([]byte, error) {
	resp, err := b.do(ctx, http.MethodGet, key, nil, "", nil)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxObject+1))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	if len(body) > maxObject {
		return nil, fmt.Errorf("get %s: it is larger than %d bytes", key, maxObject)
	}
	return body, nil
}

// List returns all objects below a prefix, in the order of their keys.
func (b *Bucket) List(ctx context.Context, prefix string) ([]Object, error) {
	var out []Object
	for token := ""; ; {
		q := url.Values{"list-type": {"2"}, "prefix": {prefix}}
		if token != "" {
			q.Set("continuation-token", token)
		}
		resp, err := b.do(ctx, http.MethodGet, "", q, "", nil)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		var page struct {
			Contents []Object `xml:"Contents"`
			More     bool     `xml:"IsTruncated"`
			Next     string   `xml:"NextContinuationToken"`
		}
		err = xml.NewDecoder(io.LimitReader(resp.Body, maxObject)).Decode(&page)
		resp.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		out = append(out, page.Contents...)
		if !page.More || page.Next == "" {
			return out, nil
		}
		token = page.Next
	}
}

// Check says whether the bucket can be used.
func (b *Bucket) Check(ctx context.Context) error {
	q := url.Values{"list-type": {"2"}, "max-keys": {"1"}}
	resp, err := b.do(ctx, http.MethodGet, "", q, "", nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (b *Bucket) do(ctx context.Context, method, key string, query url.Values, contentType string, body []byte) (*http.Response, error) {
	u := *b.endpoint
	// The bucket is in the path: a name in front of the host would need a certificate of
	// its own on servers other than Amazon's.
	u.Path = strings.TrimSuffix(u.Path, "/") + "/" + b.name
	if key != "" {
		u.Path += "/" + key
	}
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	sum := sha256.Sum256(body)
	payload := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", payload)
	if err := b.signer.SignHTTP(ctx, b.creds, req, payload, "s3", b.region, time.Now()); err != nil {
		return nil, err
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	var said struct {
		Code    string `xml:"Code"`
		Message string `xml:"Message"`
	}
	_ = xml.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&said)
	if resp.StatusCode == http.StatusNotFound && said.Code != "NoSuchBucket" {
		return nil, ErrNotFound
	}
	return nil, fmt.Errorf("object storage answered %d %s %s", resp.StatusCode, said.Code, said.Message)
}
