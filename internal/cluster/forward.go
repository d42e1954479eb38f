package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// Tunnel carries connections to ports of a pod. When the pod goes, the next connection
// goes to another. Its methods may be called concurrently.
type Tunnel struct {
	c    *Client
	pick func(context.Context) (*corev1.Pod, error)
	note func(string)

	mu sync.Mutex
	// conn leads to pod; all are those that were made, of which some may carry
	// connections to pods that are ending.
	conn httpstream.Connection
	pod  *corev1.Pod
	all  []httpstream.Connection
	id   int
}

// Tunnel returns a tunnel to the pods that pick gives. note takes what happens to it
// that people want to know.
func (c *Client) Tunnel(pick func(context.Context) (*corev1.Pod, error), note func(string)) *Tunnel {
	return &Tunnel{c: c, pick: pick, note: note}
}

// Close ends all connections.
func (t *Tunnel) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.all {
		c.Close()
	}
	t.conn, t.all = nil, nil
}

// Serve passes the connections of a listener on to a port of the pods, until ctx ends.
// It closes the listener.
func (t *Tunnel) Serve(ctx context.Context, l net.Listener, port int) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer conn.Close()
			if err := t.carry(ctx, conn, port); err != nil && ctx.Err() == nil {
				t.note(fmt.Sprintf("port %d: %v", port, err))
			}
		}()
	}
}

// carry passes one connection on.
func (t *Tunnel) carry(ctx context.Context, conn net.Conn, port int) error {
	to, data, fail, err := t.streams(ctx, port)
	if err != nil {
		return err
	}
	defer to.RemoveStreams(data, fail)
	stop := context.AfterFunc(ctx, func() { conn.Close(); _ = data.Reset() })
	defer stop()
	ended := make(chan error, 1)
	go func() {
		// The other side says here why it does not pass the connection on.
		text, err := io.ReadAll(fail)
		if err == nil && len(text) > 0 {
			err = errors.New(string(text))
		}
		ended <- err
	}()
	down := make(chan struct{})
	go func() {
		_, _ = io.Copy(conn, data)
		close(down)
	}()
	go func() {
		_, _ = io.Copy(data, conn)
		// The pod learns that nothing more comes.
		_ = data.Close()
	}()
	<-down
	conn.Close()
	_ = data.Reset()
	return <-ended
}

// streams opens a pair of streams to a port, in a connection to a pod that is made anew
// where the last one has ended.
func (t *Tunnel) streams(ctx context.Context, port int) (to httpstream.Connection, data, fail httpstream.Stream, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn != nil && !t.there(ctx) {
		t.conn = nil
	}
	for try := 0; ; try++ {
		fresh := t.conn == nil
		if fresh {
			if err := t.dial(ctx); err != nil {
				return nil, nil, nil, err
			}
		}
		t.id++
		h := http.Header{}
		h.Set(corev1.PortHeader, strconv.Itoa(port))
		h.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(t.id))
		h.Set(corev1.StreamType, corev1.StreamTypeError)
		if fail, err = t.conn.CreateStream(h); err == nil {
			_ = fail.Close() // nothing is written to it
			h.Set(corev1.StreamType, corev1.StreamTypeData)
			if data, err = t.conn.CreateStream(h); err == nil {
				return t.conn, data, fail, nil
			}
		}
		t.conn.Close()
		t.conn = nil
		if fresh || try > 0 {
			return nil, nil, nil, err
		}
	}
}

// there reports whether the pod is there and not ending: a connection to it may outlive
// what answered.
func (t *Tunnel) there(ctx context.Context) bool {
	p, err := t.c.Typed.CoreV1().Pods(t.pod.Namespace).Get(ctx, t.pod.Name, metav1.GetOptions{})
	if err != nil {
		return !apierrors.IsNotFound(err)
	}
	return p.UID == t.pod.UID && p.DeletionTimestamp == nil && p.Status.Phase == corev1.PodRunning
}

// patience is how long a connection waits for a pod that takes the place of another.
const patience = 15 * time.Second

// next picks a pod. Where there was one before, it waits for the one that comes after.
func (t *Tunnel) next(ctx context.Context) (*corev1.Pod, error) {
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		p, err := t.pick(ctx)
		if err == nil || t.pod == nil {
			return p, err
		}
		select {
		case <-limit.Done():
			return nil, err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// dial connects to a pod; t.mu is held.
func (t *Tunnel) dial(ctx context.Context) error {
	p, err := t.next(ctx)
	if err != nil {
		return err
	}
	url := t.c.Typed.CoreV1().RESTClient().Post().Resource("pods").Namespace(p.Namespace).Name(p.Name).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(t.c.REST)
	if err != nil {
		return err
	}
	ws, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, t.c.REST)
	if err != nil {
		return err
	}
	d := portforward.NewFallbackDialerForStreaming(ws, spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url), func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	conn, _, err := d.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return fmt.Errorf("connect to pod %s: %w", p.Name, err)
	}
	if t.pod != nil && t.pod.Name != p.Name {
		t.note("goes on with pod " + p.Name)
	}
	t.conn, t.pod, t.all = conn, p, append(t.all, conn)
	go func() {
		// A connection that the pod has taken along must not be used again.
		<-conn.CloseChan()
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.conn == conn {
			t.conn = nil
		}
		t.all = slices.DeleteFunc(t.all, func(c httpstream.Connection) bool { return c == conn })
	}()
	return nil
}
