package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// inFlight is how many requests may wait for their answers at a time.
	inFlight = 64
	// told is how many failures are printed.
	told = 64
)

// visitors ask an environment on this machine for pages, as browsers do.
type visitors struct {
	client           *http.Client
	answered, failed atomic.Int64
	first            atomic.Pointer[string] // the first failure
}

func newVisitors() *visitors {
	// Names below localhost are this machine, which not every resolver knows.
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		var d net.Dialer
		return d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}
	return &visitors{client: &http.Client{
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dial, MaxIdleConnsPerHost: inFlight,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // load for a page of this machine, whose certificate is of its own authority
		},
	}}
}

// offer calls f so many times a second until ctx ends, and waits for what is under way. A
// call that ctx has cut off counts neither way.
func (v *visitors) offer(ctx context.Context, rate int, f func(context.Context) error) {
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, inFlight)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		slots <- struct{}{}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() { <-slots }()
			// What was begun is finished.
			switch err := f(context.WithoutCancel(ctx)); {
			case err == nil:
				v.answered.Add(1)
			default:
				text := time.Now().Format(time.TimeOnly) + " " + err.Error()
				v.first.CompareAndSwap(nil, &text)
				if v.failed.Add(1) <= told {
					fmt.Fprintln(os.Stderr, "bench: failed:", text)
				}
			}
		}()
	}
}

// page asks for a page, which must have a text in it.
func (v *visitors) page(ctx context.Context, url, text string) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	return v.do(q, http.StatusOK, text)
}

func (v *visitors) do(q *http.Request, status int, text string) error {
	r, err := v.client.Do(q)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	switch {
	case err != nil:
		return err
	case r.StatusCode != status:
		return fmt.Errorf("%s %s: %s", q.Method, q.URL.Path, r.Status)
	case !strings.Contains(string(body), text):
		return errors.New(q.Method + " " + q.URL.Path + " does not show " + text)
	}
	return nil
}

// order places an order as a form without scripts does.
func (v *visitors) order(ctx context.Context, shop string) error {
	form := url.Values{"product": {"enamel-kettle"}, "quantity": {"1"}, "key": {rand.Text()}}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, shop+"/orders", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.do(q, http.StatusSeeOther, "")
}

// shop brings the example up and returns the URL of its page.
func (b *localBench) shop() (string, error) {
	var out bytes.Buffer
	cmd := b.command("", "up", "-o", "json")
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", err
	}
	var doc struct {
		Routes map[string]string `json:"routes"`
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		return "", err
	}
	url, ok := doc.Routes["storefront.public"]
	if !ok {
		return "", fmt.Errorf("the shop has no public route: %v", doc.Routes)
	}
	return strings.TrimSuffix(url, "/"), nil
}
