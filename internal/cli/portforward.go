package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
)

func (a *app) portForwardCommand() *cobra.Command {
	var f targetFlags
	cmd := &cobra.Command{
		Use:   "port-forward [ENV] WORKLOAD [LOCAL:]PORT...",
		Short: "Reach ports of a workload, or of a database, from this machine",
		Long: `Port-forward passes connections to ports of this machine on to ports of a workload's
pod until Ctrl-C. It listens on loopback alone, so nobody else reaches them. When the
pod goes, connections that come later go to another.

` + workloadRule + `

PORT is a number, or a name that the pod gives to a port. LOCAL is the port on this
machine, 0 for any that is free; by default it is the same as PORT.`,
		Example: `  strata port-forward local checkout 8080
  strata port-forward local --unit workloads/checkout/db 15432:5432
  strata port-forward local checkout 0:http 9090:9090`,
		Args: func(c *cobra.Command, args []string) error {
			names, ports := cutPorts(args)
			if len(ports) == 0 {
				return fmt.Errorf("name a port: %s", c.UseLine())
			}
			return targetArgs(&f)(c, names)
		},
	}
	cmd.DisableFlagsInUseLine = true
	cmd.ValidArgsFunction = a.completeTarget
	a.registerTarget(cmd, &f)
	_ = cmd.Flags().MarkHidden("container")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		names, ports := cutPorts(args)
		return a.portForward(c.Context(), names, ports, f)
	}
	return cmd
}

// portSpec is [LOCAL:]PORT. A name alone could be a workload's, so one needs LOCAL.
var portSpec = regexp.MustCompile(`^(?:([0-9]*):)?([0-9]+)$|^([0-9]*):([a-z0-9-]+)$`)

// cutPorts takes the ports off the end of the arguments.
func cutPorts(args []string) (names, ports []string) {
	i := len(args)
	for i > 0 && portSpec.MatchString(args[i-1]) {
		i--
	}
	return args[:i], args[i:]
}

// forwarded is a port that is passed on.
type forwarded struct {
	local, remote int
	name          string
}

// parsePort reads [LOCAL:]PORT.
func parsePort(spec string, pod *corev1.Pod) (forwarded, error) {
	var f forwarded
	local, remote, both := strings.Cut(spec, ":")
	if !both {
		local, remote = spec, spec
	}
	n, err := strconv.Atoi(remote)
	if err != nil {
		var names []string
		for _, c := range pod.Spec.Containers {
			for _, p := range c.Ports {
				if p.Name == remote {
					n = int(p.ContainerPort)
				}
				if p.Name != "" {
					names = append(names, fmt.Sprintf("%s (%d)", p.Name, p.ContainerPort))
				}
			}
		}
		if n == 0 {
			return f, fmt.Errorf("pod %s has no port %q; it has: %s", pod.Name, remote, orNone(names))
		}
	}
	f.remote, f.name = n, remote
	if local == "" {
		local = "0"
	}
	if f.local, err = strconv.Atoi(local); err != nil || f.local > 65535 || f.remote < 1 || f.remote > 65535 {
		return f, fmt.Errorf("%q is no pair of ports: they are numbers up to 65535", spec)
	}
	return f, nil
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none with a name"
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func (a *app) portForward(ctx context.Context, args, specs []string, f targetFlags) (err error) {
	t, err := a.target(ctx, args, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	pod, err := t.running(ctx, a)
	if err != nil {
		return err
	}
	var ports []forwarded
	var listeners []net.Listener
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	for _, spec := range specs {
		p, err := parsePort(spec, pod)
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p.local)))
		if err != nil {
			return fmt.Errorf("listen on port %d of this machine: %w; 0:%s takes any that is free", p.local, err, p.name)
		}
		ports, listeners = append(ports, p), append(listeners, l)
	}
	tunnel := t.client.Tunnel(func(ctx context.Context) (*corev1.Pod, error) { return t.running(ctx, a) }, func(text string) {
		fmt.Fprintln(a.stderr, "strata: "+text)
	})
	defer tunnel.Close()
	g, ctx := errgroup.WithContext(ctx)
	for i, p := range ports {
		fmt.Fprintf(a.stdout, "%s -> %s port %d\n", listeners[i].Addr(), t.name(), p.remote)
		g.Go(func() error { return tunnel.Serve(ctx, listeners[i], p.remote) })
	}
	stop := context.AfterFunc(ctx, tunnel.Close)
	defer stop()
	return g.Wait()
}
