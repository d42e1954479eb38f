package gateway

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	// maxMirrors is how many requests to mirrors are under way at a time; more are dropped.
	maxMirrors = 256
	// mirrorTimeout is how long a mirror may take.
	mirrorTimeout = 30 * time.Second
	// mirrorBody is how much of a mirror's answer is read, for the sake of its connection.
	mirrorBody = 1 << 20
)

// prepareMirrors draws which mirrors a request goes to. One without a body goes at once,
// others when the body has been read.
func (g *Gateway) prepareMirrors(x *exchange, r *http.Request) {
	for _, m := range x.target.filters.mirrors {
		if rand.IntN(m.denominator) < m.numerator {
			x.mirrored = append(x.mirrored, m)
		}
	}
	if len(x.mirrored) == 0 || x.upgrade {
		x.mirrored = nil
		return
	}
	// By then the exchange may be over: the copy shares nothing with it, and not the
	// context, which holds what passes provisional answers on to the client.
	x.sent = r.Clone(context.Background())
	if x.replay == nil {
		g.mirror(x, nil)
	}
}

// finishMirrors sends what prepareMirrors has left, if the body was short enough.
func (g *Gateway) finishMirrors(x *exchange) {
	if len(x.mirrored) == 0 {
		return
	}
	if content, ok := x.replay.whole(); ok {
		g.mirror(x, content)
	} else {
		g.metrics.mirrors.WithLabelValues("too long").Add(float64(len(x.mirrored)))
	}
}

func (g *Gateway) mirror(x *exchange, content []byte) {
	for _, m := range x.mirrored {
		select {
		case g.mirrors <- struct{}{}:
		default:
			g.metrics.mirrors.WithLabelValues("too many").Inc()
			continue
		}
		r := x.sent.Clone(x.sent.Context())
		go func() {
			defer func() { <-g.mirrors }()
			result := "sent"
			if err := m.send(r, content); err != nil {
				result = "failed"
				g.opts.Log.Debug("a mirror fails", "backend", m.backend.name, "error", err)
			}
			g.metrics.mirrors.WithLabelValues(result).Inc()
		}()
	}
	x.mirrored = nil
}

// send sends a request to an endpoint of the mirror and drops the answer.
func (m *mirror) send(r *http.Request, content []byte) error {
	e := m.backend.pool.Pick(nil)
	if e == nil {
		return errEndpoints
	}
	ctx, cancel := context.WithTimeout(r.Context(), mirrorTimeout)
	defer cancel()
	r = r.WithContext(ctx)
	r.URL.Scheme, r.URL.Host = m.backend.scheme, e.Address
	r.Body, r.GetBody, r.ContentLength = http.NoBody, nil, 0
	r.Header.Del("Expect")
	if content != nil {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(content)), int64(len(content))
	}
	res, err := m.backend.transport.plain.RoundTrip(r)
	e.Done(err == nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, mirrorBody))
	return err
}
