package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// component is a child process that runs as long as the node does.
type component struct {
	name string
	argv []string
	env  []string
	// ready, where it is set, is waited for before the process starts.
	ready func(context.Context) error
	// late components are stopped after all others, since those end better with them.
	late bool
}

// supervisor starts processes and starts them anew when they end. As it is process 1
// it also takes the ends of all orphans, so it cannot use os/exec: two would wait for
// the same process.
type supervisor struct {
	logs string
	log  *slog.Logger

	mu      sync.Mutex
	waiting map[int]chan unix.WaitStatus
	running map[string]int
	late    map[string]bool
}

func newSupervisor(logs string, log *slog.Logger) *supervisor {
	s := &supervisor{logs: logs, log: log, waiting: map[int]chan unix.WaitStatus{}, running: map[string]int{}, late: map[string]bool{}}
	child := make(chan os.Signal, 1)
	signal.Notify(child, unix.SIGCHLD)
	go func() {
		for range child {
			s.reap()
		}
	}()
	return s
}

// reap takes the ends of processes, whoever started them.
func (s *supervisor) reap() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if ch, ok := s.waiting[pid]; ok {
			delete(s.waiting, pid)
			ch <- status
		}
	}
}

// start starts a process. The lock keeps its end from being taken before anybody
// waits for it.
func (s *supervisor) start(c component, out *os.File) (<-chan unix.WaitStatus, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	p, err := os.StartProcess(c.argv[0], c.argv, &os.ProcAttr{
		Env: append(append([]string{}, plain...), c.env...), Files: []*os.File{null, out, out}, Sys: &unix.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, err
	}
	ch := make(chan unix.WaitStatus, 1)
	s.waiting[p.Pid], s.running[c.name] = ch, p.Pid
	return ch, p.Release()
}

// run runs the components until ctx ends; the processes are left for stop to end.
func (s *supervisor) run(ctx context.Context, list []component) {
	for _, c := range list {
		s.late[c.name] = c.late
		go s.keep(ctx, c)
	}
}

// keep runs one component, with longer and longer breaks when it keeps ending.
func (s *supervisor) keep(ctx context.Context, c component) {
	delay := 250 * time.Millisecond
	for ctx.Err() == nil {
		if c.ready != nil {
			if err := c.ready(ctx); err != nil {
				return
			}
		}
		began := time.Now()
		status, err := s.once(c)
		if err != nil {
			s.log.Error("component does not start", "component", c.name, "error", err)
		} else if ctx.Err() == nil {
			s.log.Error("component ended", "component", c.name, "exit", status.ExitStatus(), "signal", int(status.Signal()), "after", time.Since(began).Round(time.Millisecond).String())
		}
		if time.Since(began) > 30*time.Second {
			delay = 250 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
		delay = min(2*delay, 10*time.Second)
	}
}

// once runs a component to its end.
func (s *supervisor) once(c component) (unix.WaitStatus, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		defer r.Close()
		l := &rotating{name: filepath.Join(s.logs, c.name+".log")}
		if err := errors.Join(l.copy(r), l.close()); err != nil {
			s.log.Error("component's output is lost", "component", c.name, "error", err)
		}
	}()
	ch, err := s.start(c, w)
	w.Close()
	if err != nil {
		<-logged
		return 0, err
	}
	status := <-ch
	s.mu.Lock()
	delete(s.running, c.name)
	s.mu.Unlock()
	return status, nil
}

// stop ends what makes new processes first, then the pods, and last the components.
// Those that keep nothing need no notice; the late ones, which have files of their own,
// may close them. What has not ended by then ends with process 1.
func (s *supervisor) stop(patience time.Duration) {
	deadline := time.Now().Add(patience)
	first := map[string]bool{"kubelet": true, "kube-controller-manager": true, "kube-scheduler": true}
	s.signal(func(name string) bool { return first[name] }, unix.SIGKILL)
	s.pods(unix.SIGTERM)
	for time.Now().Before(deadline.Add(-2*time.Second)) && s.pods(0) > 0 {
		time.Sleep(50 * time.Millisecond)
	}
	s.signal(func(name string) bool { return !s.late[name] }, unix.SIGKILL)
	s.signal(func(name string) bool { return s.late[name] }, unix.SIGTERM)
	for time.Now().Before(deadline) && len(s.alive()) > 0 {
		time.Sleep(20 * time.Millisecond)
	}
	if names := s.alive(); len(names) > 0 {
		s.log.Error("components did not end in time", "components", names)
	}
}

func (s *supervisor) signal(which func(string) bool, sig unix.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, pid := range s.running {
		if which(name) {
			_ = unix.Kill(pid, sig)
		}
	}
}

func (s *supervisor) alive() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.running))
}

// pods sends a signal to the first process of every container, as kubelet would, and
// says how many processes of containers there are. They are told from the node's own
// by their PID namespace, and the first ones by their parent's: a shim's is the node's.
func (s *supervisor) pods(sig unix.Signal) int {
	own, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return 0
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	n := 0
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == 1 {
			continue
		}
		ns, err := os.Readlink(filepath.Join("/proc", e.Name(), "ns/pid"))
		if err != nil || ns == own {
			continue
		}
		n++
		if parent, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", parentOf(pid))); err == nil && parent == own {
			_ = unix.Kill(pid, sig)
		}
	}
	return n
}

// parentOf returns the parent of a process, 0 where there is none.
func parentOf(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	var state string
	var parent int
	if _, err := fmt.Sscan(string(b[bytes.LastIndexByte(b, ')')+1:]), &state, &parent); err != nil {
		return 0
	}
	return parent
}
