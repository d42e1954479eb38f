package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/gateway/feed"
)

const (
	// silence is how long a stream may bring nothing, not even a sign of life.
	silence = 3 * feed.Heartbeat
	// firstBreak and longestBreak are what lies between two tries to reach the control
	// plane; breaks double, and are drawn between half and all of that, so that gateways do not
	// come all at once.
	firstBreak   = 250 * time.Millisecond
	longestBreak = 15 * time.Second
	// watchEvery is how often Watch looks at its file.
	watchEvery = 200 * time.Millisecond
)

// Control says where a gateway gets its configuration from.
type Control struct {
	// Address is host and port of the control plane's feed.
	Address string
	// Gateway is the gateway's own name, "<namespace>/<name>".
	Gateway string
	// TLS shows the gateway's identity and accepts the control plane's alone.
	TLS *tls.Config
	Log *slog.Logger
}

// Follow applies each configuration that the control plane sends, until ctx ends. It
// connects anew when a connection ends; what has been applied stays meanwhile. What cannot
// be read or applied is logged and passed over.
func Follow(ctx context.Context, c Control, apply func(context.Context, config.Gateway) error) {
	transport := &http.Transport{
		TLSClientConfig: c.TLS, ForceAttemptHTTP2: true, TLSHandshakeTimeout: handshakeTimeout,
		ResponseHeaderTimeout: silence, MaxResponseHeaderBytes: 64 << 10, DisableCompression: true,
	}
	defer transport.CloseIdleConnections()
	pause := firstBreak
	for ctx.Err() == nil {
		began := time.Now()
		err := c.stream(ctx, transport, apply)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > longestBreak {
			pause = firstBreak
		}
		c.Log.Warn("the control plane cannot be heard; the last configuration is served", "control", c.Address, "error", err)
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, longestBreak)
	}
}

// stream reads one stream to its end.
func (c Control) stream(ctx context.Context, via http.RoundTripper, apply func(context.Context, config.Gateway) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(silence, func() { cancel(errors.New("nothing has come for too long")) })
	defer quiet.Stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.Address+"/v1/gateways/"+c.Gateway, nil)
	if err != nil {
		return err
	}
	res, err := via.RoundTrip(r)
	if err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", res.Status)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, config.MaxGateway)
	for lines.Scan() {
		quiet.Reset(silence)
		if len(lines.Bytes()) > 0 {
			take(ctx, lines.Bytes(), c.Log, apply)
		}
	}
	if err := lines.Err(); err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	return io.EOF
}

// take applies a document. Its errors say what is wrong without keys.
func take(ctx context.Context, doc []byte, log *slog.Logger, apply func(context.Context, config.Gateway) error) {
	g, err := config.DecodeGateway(doc)
	if err == nil {
		err = apply(ctx, g)
	}
	if err != nil {
		log.Error("a configuration is not served; the last one stays", "error", err)
	}
}

// Watch applies the configuration in a file, and again whenever it changes, until ctx
// ends. What cannot be read or applied is logged and passed over. The file may be absent.
func Watch(ctx context.Context, file string, log *slog.Logger, apply func(context.Context, config.Gateway) error) {
	var last [sha256.Size]byte
	var problem string
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		content, err := read(file)
		switch sum := sha256.Sum256(content); {
		case err != nil:
			if err.Error() != problem {
				log.Warn("the configuration cannot be read", "error", err)
			}
			problem = err.Error()
		case sum != last:
			last, problem = sum, ""
			take(ctx, bytes.TrimSpace(content), log, apply)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// read reads no more than a configuration may have.
func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, config.MaxGateway+1))
}
