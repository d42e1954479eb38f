package cluster

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LogOptions say which lines of logs are wanted.
type LogOptions struct {
	// Container is the only one wanted; empty means all.
	Container string
	// Previous wants the logs of containers before they were started again.
	Previous bool
	// Since is how far back lines are wanted; 0 means all.
	Since time.Duration
	// Tail is how many lines of each container are wanted; negative means all.
	Tail int64
}

// LogLine is a line of a container's log.
type LogLine struct {
	At                        time.Time
	Namespace, Pod, Container string
	Text                      string
}

// maxLine is how long a line may be; what is longer becomes several.
const maxLine = 1 << 20

// logSource is a container in one of its lives.
type logSource struct {
	namespace, pod, container string
	// id tells this life from the next.
	id string
	// restarted says that there was a life before.
	restarted bool
}

// sources lists the containers of pods that have something to say.
func (o LogOptions) sources(pods []*corev1.Pod) []logSource {
	var out []logSource
	for _, p := range pods {
		for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if o.Container != "" && s.Name != o.Container || s.ContainerID == "" {
				continue
			}
			if s.State.Running == nil && s.State.Terminated == nil && s.LastTerminationState.Terminated == nil {
				continue
			}
			out = append(out, logSource{p.Namespace, p.Name, s.Name, s.ContainerID, s.RestartCount > 0})
		}
	}
	return out
}

// ContainerNames lists the containers of pods, sorted.
func ContainerNames(pods []*corev1.Pod) []string {
	var out []string
	for _, p := range pods {
		for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
			out = append(out, c.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Logs returns the lines that the containers of pods have written so far, in the order
// in which they were.
func (c *Client) Logs(ctx context.Context, pods []*corev1.Pod, o LogOptions) ([]LogLine, error) {
	lines, _, err := c.logs(ctx, o.sources(pods), o)
	return lines, err
}

// logs also returns when each source had its last line.
func (c *Client) logs(ctx context.Context, sources []logSource, o LogOptions) ([]LogLine, map[string]time.Time, error) {
	var out []LogLine
	last := map[string]time.Time{}
	for _, s := range sources {
		if o.Previous && !s.restarted {
			continue
		}
		opt := &corev1.PodLogOptions{Container: s.container, Previous: o.Previous}
		if o.Tail >= 0 {
			opt.TailLines = &o.Tail
		}
		if o.Since > 0 {
			seconds := max(1, int64(o.Since.Seconds()))
			opt.SinceSeconds = &seconds
		}
		err := c.stream(ctx, s, opt, func(l LogLine) {
			out = append(out, l)
			last[s.id] = l.At
		})
		if err != nil {
			return nil, nil, fmt.Errorf("log of %s/%s, container %s: %w", s.namespace, s.pod, s.container, err)
		}
	}
	slices.SortStableFunc(out, func(a, b LogLine) int { return a.At.Compare(b.At) })
	return out, last, nil
}

// stream reads the log of one container.
func (c *Client) stream(ctx context.Context, s logSource, opt *corev1.PodLogOptions, take func(LogLine)) error {
	opt.Timestamps = true
	r, err := c.Typed.CoreV1().Pods(s.namespace).GetLogs(s.pod, opt).Stream(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	return eachLine(r, func(text string) {
		l := LogLine{Namespace: s.namespace, Pod: s.pod, Container: s.container, Text: text}
		if stamp, rest, ok := strings.Cut(text, " "); ok {
			if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
				l.At, l.Text = at, rest
			}
		}
		if l.At.IsZero() && strings.HasPrefix(text, goneLog) {
			return
		}
		take(l)
	})
}

// goneLog is what the kubelet gives for the log of a container that it has removed.
const goneLog = "unable to retrieve container logs for "

// eachLine calls f for every line, without its end.
func eachLine(r io.Reader, f func(string)) error {
	b := bufio.NewReaderSize(r, 64<<10)
	var line []byte
	for {
		part, err := b.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil, len(line) >= maxLine, errors.Is(err, io.EOF) && len(line) > 0:
			f(strings.TrimRight(string(line), "\r\n"))
			line = line[:0]
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

// followEvery is how often it is looked for new pods and containers.
const followEvery = time.Second

// Follow hands over the lines of containers as they are written, until ctx ends, and
// first those that are wanted of what was written before. pods says which pods there
// are: those that come later are followed too, and containers that are started again.
// note takes what stands in the way meanwhile; it is empty when nothing does any more.
func (c *Client) Follow(ctx context.Context, pods func(context.Context) ([]*corev1.Pod, error), o LogOptions, take func(LogLine), note func(string)) error {
	first, err := pods(ctx)
	if err != nil {
		return err
	}
	known := o.sources(first)
	lines, last, err := c.logs(ctx, known, o)
	if err != nil {
		return err
	}
	for _, l := range lines {
		take(l)
	}
	f := &follower{c: c, lines: make(chan LogLine, 256), last: last, open: map[string]bool{}}
	defer f.wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, s := range known {
		if _, ok := f.last[s.id]; !ok {
			f.last[s.id] = time.Now()
		}
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	f.start(ctx, known)
	for {
		select {
		case <-ctx.Done():
			return nil
		case l := <-f.lines:
			take(l)
		case <-tick.C:
			now, err := pods(ctx)
			if err != nil {
				if ctx.Err() == nil {
					note(err.Error())
				}
				continue
			}
			note("")
			f.start(ctx, o.sources(now))
		}
	}
}

// follower reads the logs of several containers at a time.
type follower struct {
	c     *Client
	lines chan LogLine
	wg    sync.WaitGroup

	mu sync.Mutex
	// last is when a source had its last line, open are those that are being read.
	last map[string]time.Time
	open map[string]bool
}

// start begins to read what is not being read. A log that came to an end is read again
// from there: it costs little, and a connection may have broken.
func (f *follower) start(ctx context.Context, sources []logSource) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range sources {
		if f.open[s.id] {
			continue
		}
		f.open[s.id] = true
		f.wg.Add(1)
		go func() {
			defer f.wg.Done()
			f.read(ctx, s)
		}()
	}
}

func (f *follower) read(ctx context.Context, s logSource) {
	f.mu.Lock()
	since := f.last[s.id]
	f.mu.Unlock()
	opt := &corev1.PodLogOptions{Container: s.container, Follow: true}
	if !since.IsZero() {
		// The API cuts it to seconds, so that some lines come again.
		opt.SinceTime = &metav1.Time{Time: since}
	}
	// How it ended does not matter: it is read again as long as there is such a container.
	_ = f.c.stream(ctx, s, opt, func(l LogLine) {
		if !l.At.IsZero() && !l.At.After(since) {
			return
		}
		since = cmp.Or(l.At, since)
		select {
		case f.lines <- l:
		case <-ctx.Done():
		}
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last[s.id] = since
	delete(f.open, s.id)
}
