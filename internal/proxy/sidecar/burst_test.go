package sidecar_test

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestBurst sends many requests at once to a pod that nobody has talked to before.
func TestBurst(t *testing.T) {
	web, _ := pair(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(50 * time.Millisecond) }))
	for range 2 {
		var wait sync.WaitGroup
		var bad atomic.Int32
		for range 800 {
			wait.Go(func() {
				c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
				if got, err := try(c, request(t, "GET", web.url("api"), nil)); (err != nil || got.code != http.StatusOK) && bad.Add(1) < 5 {
					t.Error(got.code, got.body, err)
				}
			})
		}
		wait.Wait()
	}
}

// TestUnreadBodies has requests whose bodies the application does not read: others on the
// same connection go on.
func TestUnreadBodies(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	var waiting atomic.Int32
	web, api := pair(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/unread" {
			waiting.Add(1)
			<-release
			return
		}
		io.Copy(io.Discard, r.Body)
	}))
	const unread = 20
	for range unread {
		go func() {
			r, err := http.NewRequest("POST", web.url("api")+"/unread", io.MultiReader(bytes.NewReader(make([]byte, 8<<20))))
			if err == nil {
				try(client(t, false), r)
			}
		}()
	}
	eventually(t, "all wait", func() bool { return waiting.Load() == unread })
	for range 5 {
		body := bytes.NewReader(make([]byte, 4<<20))
		if got := do(t, client(t, false), request(t, "POST", web.url("api")+"/read", body)); got.code != http.StatusOK {
			t.Errorf("got %d %s", got.code, got.body)
		}
	}
	// Those that were made at the same time and are of no use may take a moment to end.
	eventually(t, "there is one connection, which this test is about", func() bool {
		return api.metric(t, "strata_connections") == "strata_connections{direction=\"inbound\",port=\"web\"} 1\n"
	})
}
