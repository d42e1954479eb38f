package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// payload is what the application answers with.
var payload = strings.Repeat("0123456789abcdef", 64)

// keptAlive is a connection by HTTP/1.1 that asks for the same thing again and again. It
// does as little as it can, since it shares the processors with what is measured.
type keptAlive struct {
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
}

func connect(address string) (*keptAlive, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &keptAlive{c, bufio.NewReaderSize(c, 8<<10), []byte("GET /item HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")}, nil
}

// get sends a request and reads the whole response, which has to be the payload.
func (k *keptAlive) get() error {
	if _, err := k.conn.Write(k.request); err != nil {
		return err
	}
	status, err := k.reader.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(status) < 12 || string(status[9:12]) != "200" {
		return fmt.Errorf("answer %q", status)
	}
	for length := -1; ; {
		line, err := k.reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			if length != len(payload) {
				return fmt.Errorf("a body of %d bytes", length)
			}
			_, err := k.reader.Discard(length)
			return err
		}
		if line[0]|0x20 == 'c' && len(line) > 16 && textproto.CanonicalMIMEHeaderKey(string(line[:14])) == "Content-Length" {
			if length, err = strconv.Atoi(strings.TrimSpace(string(line[15:]))); err != nil {
				return err
			}
		}
	}
}

// many opens n connections, each of which has had an answer.
func many(address string, n int) (all []*keptAlive, err error) {
	for range n {
		k, err := connect(address)
		if err == nil {
			all = append(all, k)
			err = k.get()
		}
		if err != nil {
			closeAll(all)
			return nil, fmt.Errorf("connection %d to %s: %w", len(all), address, err)
		}
	}
	return all, nil
}

func closeAll(all []*keptAlive) {
	for _, k := range all {
		k.conn.Close()
	}
}

// workers is how many connections send requests.
const workers = 32

// each runs f once for each of some connections, at the same time.
func each(address string, f func(*keptAlive) error) error {
	all, err := many(address, workers)
	if err != nil {
		return err
	}
	defer closeAll(all)
	errs := make([]error, len(all))
	var wait sync.WaitGroup
	for i, k := range all {
		wait.Go(func() { errs[i] = f(k) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// flatOut sends requests as fast as they are answered, and returns how many a second.
func flatOut(address string, length time.Duration) (float64, error) {
	var sent atomic.Int64
	began := time.Now()
	err := each(address, func(k *keptAlive) error {
		for time.Since(began) < length {
			if err := k.get(); err != nil {
				return err
			}
			sent.Add(1)
		}
		return nil
	})
	return float64(sent.Load()) / time.Since(began).Seconds(), err
}

// steady sends requests at a rate and returns how long each took, sorted. One that has to
// wait for a free connection counts from when it was due, so that responses which are late
// make others late; one that does not counts from when it was sent, which is late only by
// the timer of the machine.
func steady(address string, perSecond int, length time.Duration) ([]time.Duration, error) {
	total := int64(perSecond * int(length.Seconds()))
	took := make([]time.Duration, total)
	var next atomic.Int64
	began := time.Now().Add(50 * time.Millisecond)
	err := each(address, func(k *keptAlive) error {
		for {
			i := next.Add(1) - 1
			if i >= total {
				return nil
			}
			due := began.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
			if ahead := time.Until(due); ahead > 0 {
				time.Sleep(ahead)
				due = time.Now()
			}
			if err := k.get(); err != nil {
				return err
			}
			took[i] = time.Since(due)
		}
	})
	slices.Sort(took)
	return took, err
}

// percentile returns what that part of sorted durations does not exceed.
func percentile(sorted []time.Duration, part float64) time.Duration {
	return sorted[min(len(sorted)-1, int(part*float64(len(sorted))))]
}

// median returns the middle one.
func median[T int64 | float64 | time.Duration](values []T) T {
	values = slices.Clone(values)
	slices.Sort(values)
	return values[len(values)/2]
}
