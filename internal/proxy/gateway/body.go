package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// body reads the body of a request within limits, and remembers why it could not.
type body struct {
	io.ReadCloser // already bounded in length
	control       *http.ResponseController
	// idle is how long the client may take for the next piece; 0: no limit. Time in which
	// nobody reads does not count, so it is no deadline of the connection.
	idle time.Duration
	err  atomic.Pointer[error]

	mu    sync.Mutex
	watch *time.Timer // runs during Read
	begun bool        // what bounds an unread body is gone; HTTP/2 has none
	over  bool        // there is nothing more to read, or nobody to read it
}

// newBody returns the body of the request that out answers.
func newBody(r io.ReadCloser, out *response, idle time.Duration) *body {
	return &body{ReadCloser: r, control: out.control, idle: idle, begun: out.idle > 0}
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.begin()
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watch != nil {
		b.watch.Stop()
	}
	if err != nil && !b.over {
		b.over = true
		if errors.Is(err, io.EOF) {
			// What the server reads next, to see whether the client is still there, has no
			// deadline. After another error it must have one.
			_ = b.control.SetReadDeadline(time.Time{})
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.err.Store(&err)
	}
	return n, err
}

func (b *body) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.over:
		return
	case b.watch != nil:
		b.watch.Reset(b.idle)
	case b.idle > 0:
		b.watch = time.AfterFunc(b.idle, b.interrupt)
	}
	if !b.begun {
		b.begun = true
		_ = b.control.SetReadDeadline(time.Time{})
	}
}

// interrupt makes a Read that waits for the client return: the client has been given enough
// time, or a transport waits for the Read. After that the body cannot be read any further.
func (b *body) interrupt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		_ = b.control.SetReadDeadline(time.Unix(1, 0))
	}
}

// finish says that the handler is about to return. After that its control must not be
// used, though a transport may still be reading.
func (b *body) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watch != nil {
		b.watch.Stop()
	}
	if !b.over && b.begun {
		boundUnread(b.control, time.Now())
	}
	b.over = true
}

// unread is how long the server waits for what is left of a body that nobody wants, in order
// to use the connection again.
const unread = 5 * time.Second

// boundUnread sets that limit.
func boundUnread(control *http.ResponseController, now time.Time) {
	_ = control.SetReadDeadline(now.Add(unread)) // not supported means that there is nothing to bound
}

// status returns the answer for a body that could not be read; 0: it could.
func (b *body) status() int {
	if b == nil || b.err.Load() == nil {
		return 0
	}
	var large *http.MaxBytesError
	switch err := *b.err.Load(); {
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout
	}
	return http.StatusBadRequest
}

// replay lets a body be read more than once, as long as it is short.
type replay struct {
	src   io.Reader
	max   int
	total *atomic.Int64 // what all keep, within KeptBytes

	mu   sync.Mutex // held while src is read, which may take as long as the client does
	kept []byte
	err  error         // of src
	last *replayReader // who has read src last
	over atomic.Bool   // too much has been read: kept is gone
}

// errReplay is for an attempt that comes too late to see the beginning of a body.
var errReplay = errors.New("the body is too long to be sent again")

// again says whether the body can be read from its beginning.
func (r *replay) again() bool { return r == nil || !r.over.Load() }

// whole returns the body, if all of it has been read and kept.
func (r *replay) whole() ([]byte, bool) {
	if !r.mu.TryLock() {
		return nil, false // it is being read
	}
	defer r.mu.Unlock()
	return r.kept, !r.over.Load() && errors.Is(r.err, io.EOF)
}

// keep adds to what is kept, or gives it up. It is called with mu held.
func (r *replay) keep(p []byte) {
	n := int64(len(p))
	if !r.over.Load() && len(r.kept)+len(p) <= r.max {
		if r.total.Add(n) <= KeptBytes {
			r.kept = append(r.kept, p...)
			return
		}
		r.total.Add(-n)
	}
	r.over.Store(true)
	r.drop()
}

func (r *replay) drop() {
	r.total.Add(-int64(len(r.kept)))
	r.kept = nil
}

// close lets go of what is kept. Nobody may send the body again after that.
func (r *replay) close() {
	r.over.Store(true)
	if r.mu.TryLock() { // else it is being read, and dropped after that
		defer r.mu.Unlock()
		r.drop()
	}
}

// reader returns a reader from the beginning. Those returned before must have been closed.
func (r *replay) reader() *replayReader { return &replayReader{replay: r} }

type replayReader struct {
	replay *replay
	offset int
	closed atomic.Bool
}

// Read implements io.Reader.
func (r *replayReader) Read(p []byte) (int, error) {
	b := r.replay
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case r.closed.Load():
		return 0, os.ErrClosed
	case b.over.Load() && b.last != r:
		return 0, errReplay
	case !b.over.Load() && r.offset < len(b.kept):
		n := copy(p, b.kept[r.offset:])
		r.offset += n
		return n, nil
	case b.err != nil:
		return 0, b.err
	}
	n, err := b.src.Read(p)
	b.err, b.last = err, r
	b.keep(p[:n])
	r.offset += n
	return n, err
}

// Close ends this reader alone, and waits for nobody.
func (r *replayReader) Close() error {
	r.closed.Store(true)
	return nil
}
