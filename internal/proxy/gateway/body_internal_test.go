package gateway

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
)

func readAll(t *testing.T, r io.Reader, want string) {
	t.Helper()
	if b, err := io.ReadAll(r); err != nil || string(b) != want {
		t.Errorf("got %.20q, %v; want %.20q", b, err, want)
	}
}

func TestReplay(t *testing.T) {
	var total atomic.Int64
	r := &replay{src: strings.NewReader("hello world"), max: 20, total: &total}
	first := r.reader()
	part := make([]byte, 5)
	if _, err := io.ReadFull(first, part); err != nil || string(part) != "hello" {
		t.Fatalf("%q, %v", part, err)
	}
	check := first.Close()
	if _, err := first.Read(part); check != nil || err == nil {
		t.Error("a closed reader goes on")
	}
	if _, ok := r.whole(); ok {
		t.Error("half is taken for the whole")
	}
	readAll(t, r.reader(), "hello world")
	readAll(t, r.reader(), "hello world")
	if b, ok := r.whole(); !ok || string(b) != "hello world" {
		t.Errorf("the whole is %q", b)
	}
	if total.Load() != 11 {
		t.Errorf("%d bytes are kept", total.Load())
	}
	r.close()
	if total.Load() != 0 || r.again() {
		t.Error("what is kept is not let go of")
	}
}

func TestReplayOfLongBodies(t *testing.T) {
	var total atomic.Int64
	long := strings.Repeat("x", 1000)
	r := &replay{src: io.MultiReader(strings.NewReader("begin"), strings.NewReader(long)), max: 20, total: &total}
	first := r.reader()
	readAll(t, first, "begin"+long)
	if r.again() {
		t.Error("it is to be sent again without its beginning")
	}
	if _, err := r.reader().Read(make([]byte, 1)); !errors.Is(err, errReplay) {
		t.Errorf("a second reader gets %v", err)
	}
	if _, ok := r.whole(); ok || total.Load() != 0 {
		t.Errorf("%d bytes are kept", total.Load())
	}
}

// TestReplayIsBounded makes sure that many short bodies are bounded as well.
func TestReplayIsBounded(t *testing.T) {
	var total atomic.Int64
	total.Store(KeptBytes - 10)
	r := &replay{src: bytes.NewReader(make([]byte, 11)), max: 20, total: &total}
	if n, err := io.Copy(io.Discard, r.reader()); n != 11 || err != nil || r.again() || total.Load() != KeptBytes-10 {
		t.Errorf("%d bytes, %v; again: %t, %d", n, err, r.again(), total.Load())
	}
}

// TestReplayReadWhileClosed has a body whose next piece comes when nobody wants it any
// longer.
func TestReplayReadWhileClosed(t *testing.T) {
	var total atomic.Int64
	src, w := io.Pipe()
	r := &replay{src: src, max: 20, total: &total}
	reader := r.reader()
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.ReadFull(reader, make([]byte, 10))
	}()
	w.Write([]byte("12345"))
	if _, ok := r.whole(); ok {
		t.Error("a body that is being read is whole")
	}
	r.close()
	w.Write([]byte("67890"))
	<-done
	if total.Load() != 0 {
		t.Errorf("%d bytes are kept", total.Load())
	}
}
