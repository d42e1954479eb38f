package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// How the data plane is measured: all subjects in each of many short rounds, so that what
// else the machine does meets them alike, and the median leaves it out if it does not last.
const (
	rounds       = 15
	flatOutFor   = time.Second
	steadyFor    = 2 * time.Second
	steadyRate   = 1000
	idleConns    = 1000
	settleBefore = 2 * time.Second
)

// figures are what one subject came to, a value a round.
type figures struct {
	perSecond     []float64
	p50, p99      []time.Duration // with the application's part
	added50       []time.Duration
	added99       []time.Duration
	cpu           []time.Duration // of the proxies, a request
	idle, holding int64           // bytes
}

// dataPlane measures our proxies beside others, and prints a section.
func dataPlane(binary string) (err error) {
	fmt.Print("\n## The data plane\n\n")
	binary, err = filepath.Abs(binary)
	if err != nil {
		return err
	}
	for _, program := range []string{"haproxy", "caddy"} {
		if _, err := exec.LookPath(program); err != nil {
			fmt.Printf("Not measured: %s is not here.\n", program)
			return nil
		}
	}
	dir, err := os.MkdirTemp("", "strata-bench-proxy-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	app := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(payload)))
		_, _ = io.WriteString(w, payload) // a proxy that has gone shows at the other end
	}), ReadHeaderTimeout: time.Minute}
	go func() { _ = app.Serve(l) }()
	defer app.Close()
	// Whoever interrupts this leaves no proxies behind.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p, err := newPlaces(ctx, dir, binary, l.Addr().String())
	if err != nil {
		return err
	}
	alone, err := p.alone()
	if err != nil {
		return err
	}
	subjects := []*subject{{name: "none", address: p.app}}
	for _, f := range []func() (*subject, error){
		func() (*subject, error) { return p.haproxy(false) },
		func() (*subject, error) { return p.caddy(false) },
		p.gateway,
		func() (*subject, error) { return p.haproxy(true) },
		func() (*subject, error) { return p.caddy(true) },
		p.sidecars,
	} {
		s, err := f()
		if s != nil {
			defer s.stop()
		}
		if err == nil {
			err = s.ready()
		}
		if err != nil {
			return err
		}
		subjects = append(subjects, s)
	}
	results := make([]figures, len(subjects))
	time.Sleep(settleBefore)
	for i, s := range subjects {
		if results[i].idle, err = s.memory(); err != nil {
			return err
		}
	}
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "bench: the data plane, round %d of %d\n", round+1, rounds)
		for i, s := range subjects {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := results[i].round(s, &results[0]); err != nil {
				return fmt.Errorf("%s: %w\n%s", s.name, err, s.stderr.String())
			}
		}
	}
	fmt.Fprintln(os.Stderr, "bench: the data plane, idle connections")
	for i, s := range subjects[1:] {
		if results[i+1].holding, err = holding(s); err != nil {
			return err
		}
	}
	printDataPlane(subjects, results, alone)
	return nil
}

// alone returns the memory of one sidecar that shares its pages with no other.
func (p *places) alone() (int64, error) {
	s, err := p.sidecars()
	if s != nil {
		defer s.stop()
	}
	if err == nil {
		err = s.ready()
	}
	if err != nil {
		return 0, err
	}
	// The first is the one that is called: it goes.
	_ = s.running[0].Process.Kill() // it has answered a moment ago
	_ = s.running[0].Wait()
	s.running = s.running[1:]
	time.Sleep(settleBefore)
	return s.memory()
}

// round measures once. Bare is what the application needs without a proxy, of this round too.
func (f *figures) round(s *subject, bare *figures) error {
	perSecond, err := flatOut(s.address, flatOutFor)
	if err != nil {
		return err
	}
	before, err := s.cpu()
	if err != nil {
		return err
	}
	took, err := steady(s.address, steadyRate, steadyFor)
	if err != nil {
		return err
	}
	after, err := s.cpu()
	if err != nil {
		return err
	}
	p50, p99 := percentile(took, 0.5), percentile(took, 0.99)
	f.perSecond = append(f.perSecond, perSecond)
	f.p50, f.p99 = append(f.p50, p50), append(f.p99, p99)
	f.cpu = append(f.cpu, (after-before)/time.Duration(len(took)))
	last := len(bare.p50) - 1
	f.added50, f.added99 = append(f.added50, p50-bare.p50[last]), append(f.added99, p99-bare.p99[last])
	return nil
}

// holding returns the memory of a subject with idle connections.
func holding(s *subject) (int64, error) {
	all, err := many(s.address, idleConns)
	if err != nil {
		return 0, err
	}
	defer closeAll(all)
	time.Sleep(settleBefore)
	return s.memory()
}

func printDataPlane(subjects []*subject, results []figures, alone int64) {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }
	fmt.Printf("%s, %s, %d cores. Requests for %d bytes by HTTP/1.1 on %d connections that stay; load, proxies and application share the processors. "+
		"Medians of %d rounds, in each of which all have their turn. Command: `make bench`, or this section alone with `go run ./internal/bench -only proxy`.\n\n",
		time.Now().Format(time.DateOnly), cpuModel(), runtime.NumCPU(), len(payload), workers, rounds)
	fmt.Printf("| proxy | requests a second | added at %d a second: p50 | p99 | CPU a request | memory at first | after the load, with %d idle connections |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n", steadyRate, idleConns)
	var caddy, ours *figures
	for i, s := range subjects {
		f := &results[i]
		name := s.name
		if s.pair {
			name += ", two with mutual TLS"
		}
		if i == 0 {
			fmt.Printf("| none | %.0f | (%s) | (%s) | - | - | - |\n", median(f.perSecond), ms(median(f.p50)), ms(median(f.p99)))
			continue
		}
		fmt.Printf("| %s | %.0f | %s | %s | %d µs | %.1f MiB | %.1f MiB |\n", name, median(f.perSecond), ms(median(f.added50)), ms(median(f.added99)),
			median(f.cpu).Microseconds(), float64(f.idle)/(1<<20), float64(f.holding)/(1<<20))
		switch {
		case s.name == "Caddy" && s.pair:
			caddy = f
		case s.name == "Strata's sidecars":
			ours = f
		}
	}
	ratio := func(a, b []time.Duration) float64 { return float64(median(a)) / float64(median(b)) }
	fmt.Printf("\nStrata's sidecars to two Caddys, in this run: %.2f of the requests a second, %.2f of the latency at p50 and %.2f at p99 (the application's part included), %.2f of the CPU.\n",
		median(ours.perSecond)/median(caddy.perSecond), ratio(ours.p50, caddy.p50), ratio(ours.p99, caddy.p99), ratio(ours.cpu, caddy.cpu))
	fmt.Printf("\nA sidecar with one call, alone on the machine and without requests: %.1f MiB.\n", float64(alone)/(1<<20))
	fmt.Print(dataPlaneNotes)
}

// dataPlaneNotes say what the figures mean. They hold no figures of their own.
const dataPlaneNotes = `
Memory is the proportional set size of all processes of a row: processes of one program share its pages. HAProxy and Caddy are Debian's. Between two Caddys and between two sidecars goes HTTP/2,
between two HAProxys HTTP/1.1, as they do by themselves. HAProxy and Caddy check who signed the certificate; a sidecar checks
the caller's SPIFFE ID too, counts by caller, and passes on traces.
`
