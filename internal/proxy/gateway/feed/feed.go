// Package feed is the control plane's side of the stream by which gateways get their
// configuration: it keeps the last one of each gateway and sends it to whoever may have it.
// It knows neither Kubernetes nor how a configuration comes about; what gateways do with it
// is internal/proxy/gateway.
//
// The protocol is HTTP: GET /v1/gateways/<namespace>/<name> answers with lines
// (application/x-ndjson). Each line is one whole config.Gateway, or empty, which only
// says that the connection is alive. A client skips lines for which it is too slow: it gets the
// newest.
package feed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/stratahq/strata/internal/proxy/config"
)

const (
	// Heartbeat is how often a stream says that it is alive.
	Heartbeat = 10 * time.Second
	// writeTimeout is how long a client may take to read what is sent.
	writeTimeout = 30 * time.Second
)

// Feed holds the configuration of every gateway. It is an http.Handler, to be served by
// mutual TLS that verifies the client's SVID; which client may have what it checks
// itself. All methods may be called at the same time.
type Feed struct {
	trustDomain string
	log         *slog.Logger
	mux         *http.ServeMux

	mu       sync.Mutex
	gateways map[string]*gateway
}

// gateway is what one gateway is told. Fields are guarded by Feed.mu.
type gateway struct {
	id      string        // who may read it
	line    []byte        // JSON and a line feed; never changed, only replaced
	changed chan struct{} // closed with the next change
	streams int
}

// New returns a Feed without gateways. The trust domain is that of the gateways' SVIDs,
// such as "prod.acme.example".
func New(trustDomain string, log *slog.Logger) *Feed {
	f := &Feed{trustDomain: trustDomain, log: log, mux: http.NewServeMux(), gateways: map[string]*gateway{}}
	f.mux.HandleFunc("GET /v1/gateways/{namespace}/{name}", f.serve)
	return f
}

// Set makes g the configuration of the gateway called name, "<namespace>/<name>", and
// sends it to those connected. Only the service account of that name in the
// gateway's namespace may read it. What no gateway would serve is refused (see
// config.Gateway.Validate), and the last configuration stays. Version is filled in where
// it is empty. Setting what is set already does nothing.
func (f *Feed) Set(name, account string, g config.Gateway) error {
	namespace, short, ok := strings.Cut(name, "/")
	if !ok || namespace == "" || short == "" || strings.Contains(short, "/") || account == "" {
		return fmt.Errorf("gateway %q of service account %q: want NAMESPACE/NAME and an account", name, account)
	}
	if err := g.Validate(); err != nil {
		return fmt.Errorf("gateway %s: %w", name, err)
	}
	line, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("gateway %s: %w", name, err)
	}
	if g.Version == "" {
		sum := sha256.Sum256(line)
		g.Version = hex.EncodeToString(sum[:8])
		if line, err = json.Marshal(g); err != nil {
			return fmt.Errorf("gateway %s: %w", name, err)
		}
	}
	if len(line) > config.MaxGateway {
		return fmt.Errorf("gateway %s: configuration of %d bytes; at most %d are allowed", name, len(line), config.MaxGateway)
	}
	line = append(line, '\n')
	id := config.ID(f.trustDomain, namespace, account)

	f.mu.Lock()
	defer f.mu.Unlock()
	gw := f.gateways[name]
	switch {
	case gw == nil:
		f.gateways[name] = &gateway{id: id, line: line, changed: make(chan struct{})}
	case gw.id == id && bytes.Equal(gw.line, line):
	default:
		gw.id, gw.line = id, line
		close(gw.changed)
		gw.changed = make(chan struct{})
	}
	return nil
}

// Remove forgets a gateway and ends its streams. The gateway goes on serving what it has.
func (f *Feed) Remove(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if gw := f.gateways[name]; gw != nil {
		delete(f.gateways, name)
		close(gw.changed)
	}
}

// Streams returns how many clients read the configuration of a gateway at this moment.
func (f *Feed) Streams(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if gw := f.gateways[name]; gw != nil {
		return gw.streams
	}
	return 0
}

// ServeHTTP implements http.Handler. It answers 403 to whom the gateway is not, and to
// everybody if there is none of this name.
func (f *Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.mux.ServeHTTP(w, r) }

func (f *Feed) serve(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("namespace") + "/" + r.PathValue("name")
	peer, expires, err := peerID(r)
	if err != nil {
		http.Error(w, "a client certificate with a SPIFFE ID is wanted", http.StatusUnauthorized)
		return
	}
	gw := f.enter(name, peer)
	if gw == nil {
		f.log.WarnContext(r.Context(), "a configuration is refused", "gateway", name, "peer", peer)
		http.Error(w, "this gateway is not yours, or there is none", http.StatusForbidden)
		return
	}
	defer f.leave(gw)
	f.log.InfoContext(r.Context(), "a gateway is connected", "gateway", name)
	// A stream must not outlive what the client was let in for.
	ctx, cancel := context.WithDeadline(r.Context(), expires)
	defer cancel()
	err = f.stream(ctx, w, name, gw, peer)
	f.log.InfoContext(r.Context(), "a gateway is no longer connected", "gateway", name, "cause", err)
}

// peerID returns the SPIFFE ID of the client and the end of its certificate, which the
// TLS layer has verified.
func peerID(r *http.Request) (string, time.Time, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return "", time.Time{}, errors.New("no client certificate")
	}
	leaf := r.TLS.PeerCertificates[0]
	id, err := x509svid.IDFromCert(leaf)
	return id.String(), leaf.NotAfter, err
}

// enter counts peer among the readers of a gateway; nil when it may not read it.
func (f *Feed) enter(name, peer string) *gateway {
	f.mu.Lock()
	defer f.mu.Unlock()
	gw := f.gateways[name]
	if gw == nil || gw.id != peer {
		return nil
	}
	gw.streams++
	return gw
}

func (f *Feed) leave(gw *gateway) {
	f.mu.Lock()
	defer f.mu.Unlock()
	gw.streams--
}

// latest returns what peer is to read, and when to look again; nil when it may not any
// longer.
func (f *Feed) latest(name string, gw *gateway, peer string) ([]byte, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gateways[name] != gw || gw.id != peer {
		return nil, nil
	}
	return gw.line, gw.changed
}

func (f *Feed) stream(ctx context.Context, w http.ResponseWriter, name string, gw *gateway, peer string) error {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	rc := http.NewResponseController(w)
	send := func(line []byte) error {
		if err := rc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
		return rc.Flush()
	}
	beat := time.NewTicker(Heartbeat)
	defer beat.Stop()
	var sent []byte
	for {
		line, changed := f.latest(name, gw, peer)
		if line == nil {
			return errors.New("the gateway is removed or has another account")
		}
		if !bytes.Equal(line, sent) {
			if err := send(line); err != nil {
				return err
			}
			sent = line
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		case <-beat.C:
			if err := send([]byte("\n")); err != nil {
				return err
			}
		}
	}
}
