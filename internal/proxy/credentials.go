package proxy

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// How often the files are looked at without having been told of a change, and how often
// somebody who waits for them is told so.
const (
	pollReady   = 30 * time.Second
	pollWaiting = 500 * time.Millisecond
	remindEvery = 10 * time.Second
	// settle is the time between the first sign of a change and reading: the kubelet
	// changes several names in a row.
	settle = 50 * time.Millisecond
)

// CredentialFiles says where a pod's credentials are and which trust domain they are of.
type CredentialFiles struct {
	// Key holds a private key (PKCS#8) and its certificate chain, leaf first, in PEM, as
	// the kubelet writes a podCertificate volume; see config.CredentialsFile.
	Key string
	// Trust holds the trust domain's authorities, in PEM; see config.TrustFile.
	Trust string
	// TrustDomain is the name of the trust domain, such as "prod.acme.example".
	TrustDomain string
	// Poll is how often the files are read without notice of a change; 0 means 30 s.
	Poll time.Duration
}

// Credentials are the pod's X.509-SVID and the roots that it trusts, read from files and
// read again when these change. A file that is not whole or not valid is reported in the
// log and changes nothing. Credentials implement x509svid.Source and x509bundle.Source;
// connections that exist keep what they were made with.
type Credentials struct {
	files  CredentialFiles
	domain spiffeid.TrustDomain
	log    *slog.Logger

	svid   atomic.Pointer[x509svid.SVID]
	bundle atomic.Pointer[x509bundle.Bundle]
	ready  chan struct{} // closed when both are there

	mu      sync.Mutex
	sources []*source
}

// source is one of the files.
type source struct {
	path string
	take func([]byte) error
	// used is the digest of what was taken last: the content itself may be a key.
	used    [sha256.Size]byte
	problem string // why the present content was not taken; empty when it was
}

// OpenCredentials reads the files and watches them until ctx ends. They need not exist
// yet; see Credentials.Wait. The error is about the trust domain's name alone.
func OpenCredentials(ctx context.Context, files CredentialFiles, log *slog.Logger) (*Credentials, error) {
	domain, err := spiffeid.TrustDomainFromString(files.TrustDomain)
	if err != nil {
		return nil, fmt.Errorf("trust domain %q: %w", files.TrustDomain, err)
	}
	if files.Poll <= 0 {
		files.Poll = pollReady
	}
	c := &Credentials{files: files, domain: domain, log: log, ready: make(chan struct{})}
	c.sources = []*source{{path: files.Key, take: c.takeKey}, {path: files.Trust, take: c.takeTrust}}
	c.load()
	go c.watch(ctx)
	return c, nil
}

// GetX509SVID returns the present SVID, or an error that says what is missing. It
// implements x509svid.Source.
func (c *Credentials) GetX509SVID() (*x509svid.SVID, error) {
	if svid := c.svid.Load(); svid != nil {
		return svid, nil
	}
	return nil, c.missing()
}

// GetX509BundleForTrustDomain returns the roots of the trust domain. For any other domain
// it returns an error: nobody outside is trusted. It implements x509bundle.Source.
func (c *Credentials) GetX509BundleForTrustDomain(domain spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	if domain != c.domain {
		return nil, fmt.Errorf("trust domain %q is not ours, which is %q", domain, c.domain)
	}
	if bundle := c.bundle.Load(); bundle != nil {
		return bundle, nil
	}
	return nil, c.missing()
}

// TrustDomain returns the trust domain that the credentials are of.
func (c *Credentials) TrustDomain() spiffeid.TrustDomain { return c.domain }

// Ready says whether there are a key and roots.
func (c *Credentials) Ready() bool {
	select {
	case <-c.ready:
		return true
	default:
		return false
	}
}

// Wait returns when there are a key and roots, and says in the log what it waits for. It
// returns an error when ctx ends before.
func (c *Credentials) Wait(ctx context.Context) error {
	remind := time.NewTicker(remindEvery)
	defer remind.Stop()
	for !c.Ready() {
		c.log.Info("waiting for the pod's credentials", "reason", c.missing().Error())
		select {
		case <-c.ready:
			return nil
		case <-remind.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), c.missing())
		}
	}
	return nil
}

// missing says why there are no credentials.
func (c *Credentials) missing() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var problems []error
	for _, s := range c.sources {
		if s.problem != "" {
			problems = append(problems, errors.New(s.problem))
		}
	}
	return fmt.Errorf("no credentials: %w", errors.Join(problems...))
}

// load reads the files and takes what is new.
func (c *Credentials) load() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sources {
		content, err := os.ReadFile(s.path)
		if err == nil {
			digest := sha256.Sum256(content)
			if digest == s.used {
				s.problem = ""
				continue
			}
			if err = s.take(content); err == nil {
				s.used, s.problem = digest, ""
				continue
			}
			err = fmt.Errorf("%s: %w", s.path, err)
		}
		if problem := err.Error(); problem != s.problem {
			s.problem = problem
			if c.Ready() {
				c.log.Error("a file of the pod's credentials is not usable; the last good one stays in use", "error", problem)
			}
		}
	}
	if !c.Ready() && c.svid.Load() != nil && c.bundle.Load() != nil {
		close(c.ready)
	}
}

func (c *Credentials) takeKey(content []byte) error {
	if err := whole(content); err != nil {
		return err
	}
	svid, err := x509svid.Parse(content, content)
	if err != nil {
		return err
	}
	leaf := svid.Certificates[0]
	if svid.ID.TrustDomain() != c.domain {
		return fmt.Errorf("it is for %s, outside the trust domain %s", svid.ID, c.domain)
	}
	if now := time.Now(); now.After(leaf.NotAfter) {
		return fmt.Errorf("it is for %s and has expired at %s", svid.ID, leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	c.svid.Store(svid)
	c.log.Info("the pod's certificate is loaded", "id", svid.ID.String(), "serial", leaf.SerialNumber.Text(16), "expires", leaf.NotAfter.UTC())
	return nil
}

func (c *Credentials) takeTrust(content []byte) error {
	if err := whole(content); err != nil {
		return err
	}
	bundle, err := x509bundle.Parse(c.domain, content)
	if err != nil {
		return err
	}
	if bundle.Empty() {
		return errors.New("it has no certificate")
	}
	c.bundle.Store(bundle)
	c.log.Info("the trust domain's roots are loaded", "count", len(bundle.X509Authorities()))
	return nil
}

// whole returns an error unless each PEM block that begins also ends. What decodes PEM
// takes a block that is cut off for the end of the file, and would return a chain that
// lacks its last certificate.
func whole(content []byte) error {
	begun := strings.Count(string(content), "-----BEGIN ")
	if begun == 0 {
		return errors.New("it has no PEM block")
	}
	ended := 0
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		ended++
	}
	if ended != begun {
		return fmt.Errorf("it is not whole: %d of %d PEM blocks can be read", ended, begun)
	}
	return nil
}

// watch loads the files when their folders change, and now and then without a sign: file
// systems exist that give none.
func (c *Credentials) watch(ctx context.Context) {
	folders := map[string]bool{filepath.Dir(c.files.Key): true, filepath.Dir(c.files.Trust): true}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		c.log.Warn("no notice of changed files; they are read now and then", "error", err)
		watcher = &fsnotify.Watcher{} // its channels are nil: nothing comes
		clear(folders)
	} else {
		defer watcher.Close()
	}
	for {
		for folder := range folders {
			if watcher.Add(folder) == nil {
				delete(folders, folder)
				c.load() // it may have changed before it was watched
			}
		}
		every := c.files.Poll
		if !c.Ready() {
			every = min(every, pollWaiting)
		}
		timer := time.NewTimer(every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case event := <-watcher.Events:
			timer.Stop()
			// A watched folder that goes away takes its watch along.
			if event.Has(fsnotify.Remove) || event.Has(fsnotify.Rename) {
				if dir := filepath.Clean(event.Name); dir == filepath.Dir(c.files.Key) || dir == filepath.Dir(c.files.Trust) {
					folders[dir] = true
				}
			}
			drain(ctx, watcher.Events)
		case err := <-watcher.Errors:
			timer.Stop()
			c.log.Warn("watching the pod's credentials", "error", err)
		case <-timer.C:
		}
		c.load()
	}
}

// drain takes events until none has come for a moment.
func drain(ctx context.Context, events <-chan fsnotify.Event) {
	timer := time.NewTimer(settle)
	defer timer.Stop()
	for {
		select {
		case <-events:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
