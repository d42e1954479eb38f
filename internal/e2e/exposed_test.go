package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/compile/kube"
)

// exposed: from outside of the cluster there is what routes declare, and nothing else.
func exposed(l *local, t *testing.T) {
	m := &meshed{t: t, c: l.client(t), nodes: l.nodes}
	t.Run("routes", func(t *testing.T) { onlyRoutes(l, m, t) })
	t.Run("addresses", func(t *testing.T) { noAddress(l, m, t) })
	t.Run("ports", func(t *testing.T) { onlyLoopback(l, t) })
}

// onlyRoutes asks both gateways, from the node's own network, for what is declared, for
// what is the other's, and for what nobody declared.
func onlyRoutes(l *local, m *meshed, t *testing.T) {
	pid := m.nodeProcess()
	gateways := map[string]string{}
	for _, class := range []string{kube.ClassPublic, kube.ClassInternal} {
		list, err := m.c.Typed.CoreV1().Services(kube.GatewayNamespace).List(t.Context(), metav1.ListOptions{LabelSelector: "gateway.networking.k8s.io/gateway-name=" + class})
		if err != nil || len(list.Items) != 1 {
			t.Fatalf("the Gateway %s has %d Services, %v", class, len(list.Items), err)
		}
		gateways[class] = net.JoinHostPort(list.Items[0].Spec.ClusterIP, "80")
	}
	classes := map[string]int{}
	for name, address := range l.routes {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		_, class, _ := strings.Cut(name, ".")
		classes[class]++
		for other, gateway := range gateways {
			got, err := askAt(pid, gateway, u.Hostname(), u.Path)
			switch {
			case err != nil:
				t.Errorf("%s on the Gateway %s: %v", address, other, err)
			case other == class && (got == noRoute || got.status >= 500):
				t.Errorf("%s on its Gateway %s: %v", address, other, got)
			case other != class && got != noRoute:
				t.Errorf("%s on the Gateway %s: %v", address, other, got)
			}
		}
	}
	if classes[kube.ClassPublic] == 0 || classes[kube.ClassInternal] == 0 {
		t.Fatalf("the example has %v routes", classes)
	}
	for _, gateway := range gateways {
		for _, host := range []string{"catalog", "catalog.storefront.svc.cluster.local", "nobody.acme.localhost", "acme.localhost", strings.Split(gateway, ":")[0], "localhost"} {
			if got, err := askAt(pid, gateway, host, "/"); err != nil || got != noRoute {
				t.Errorf("%s on %s: %v, %v", host, gateway, got, err)
			}
		}
	}
}

// answer is what a request came to.
type answer struct {
	status int
	text   string
}

// noRoute is the gateways' own answer; that of a program which knows no such page differs.
var noRoute = answer{http.StatusNotFound, "Not Found\n"}

// askAt asks an address for a page, in the network of a process.
func askAt(pid int, address, host, path string) (answer, error) {
	var conn net.Conn
	err := inNetwork(pid, func() (err error) {
		conn, err = net.DialTimeout("tcp", address, 10*time.Second)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	used := false
	client := &http.Client{
		Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
			if used {
				return nil, errors.New("the connection has been used")
			}
			used = true
			return conn, nil
		}},
	}
	r, err := client.Get("http://" + host + path)
	if err != nil {
		return answer{}, err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(io.LimitReader(r.Body, 64))
	return answer{r.StatusCode, string(text)}, err
}

// noAddress: neither the machine nor a neighbour that sends its packets to it has a way to
// an address of a pod or of a Service.
func noAddress(l *local, m *meshed, t *testing.T) {
	pods, err := m.c.Typed.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	services, err := m.c.Typed.CoreV1().Services("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, p := range pods.Items {
		if p.Status.PodIP == "" {
			continue
		}
		ports := map[int32]bool{80: true, 443: true, 8080: true, 15021: true}
		for _, c := range append(p.Spec.Containers, p.Spec.InitContainers...) {
			for _, port := range c.Ports {
				ports[port.ContainerPort] = true
			}
		}
		for port := range ports {
			addresses = append(addresses, net.JoinHostPort(p.Status.PodIP, strconv.Itoa(int(port))))
		}
	}
	for _, s := range services.Items {
		if s.Spec.ClusterIP == "" || s.Spec.ClusterIP == "None" {
			continue
		}
		for _, port := range s.Spec.Ports {
			addresses = append(addresses, net.JoinHostPort(s.Spec.ClusterIP, strconv.Itoa(int(port.Port))))
			if port.NodePort != 0 {
				t.Errorf("Service %s/%s has the node port %d", s.Namespace, s.Name, port.NodePort)
			}
		}
	}
	// The node itself, too, as a neighbour sees it.
	const nodePorts = 5
	for _, port := range [nodePorts]int{80, 443, 6443, 2379, 10250} {
		addresses = append(addresses, net.JoinHostPort(l.config(t).Addr().String(), strconv.Itoa(port)))
	}
	nowhere(t, "a neighbour", neighbour(t), addresses)
	// The machine reaches the node that it runs, but has no way to anything in there.
	link := fmt.Sprintf("strata%d", l.config(t).Link)
	for _, a := range addresses[:len(addresses)-nodePorts] {
		host, _, err := net.SplitHostPort(a)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("ip", "route", "get", host).CombinedOutput(); err == nil && strings.Contains(string(out), link) {
			t.Errorf("the machine has a way to %s: %s", host, out)
		}
	}
}

// nowhere dials addresses in the network of a process. None of them may answer.
func nowhere(t *testing.T, who string, pid int, addresses []string) {
	t.Helper()
	began := time.Now()
	next := make(chan string, len(addresses))
	for _, a := range addresses {
		next <- a
	}
	close(next)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			err := inNetwork(pid, func() error {
				for a := range next {
					if conn, err := net.DialTimeout("tcp", a, time.Second); err == nil {
						conn.Close()
						t.Errorf("%s reaches %s", who, a)
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Logf("%d addresses lead nowhere, as %s found in %s", len(addresses), who, time.Since(began).Round(time.Second))
}

// neighbour makes a host beside this machine, for whom this machine is the way to
// everywhere, and returns a process of it.
func neighbour(t *testing.T) int {
	t.Helper()
	const link, here, there = "strata-test", "198.51.100.1", "198.51.100.2" // RFC 5737
	cmd := exec.Command("unshare", "--net", "--kill-child", "sleep", "infinity")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The link ends with the network at its other end.
		_, _ = cmd.Process.Kill(), cmd.Wait()
		for exec.Command("ip", "link", "show", link).Run() == nil {
			time.Sleep(10 * time.Millisecond)
		}
	})
	pid := cmd.Process.Pid
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for {
		if other, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid)); err != nil {
			t.Fatal(err)
		} else if other != own {
			break
		}
		time.Sleep(time.Millisecond)
	}
	inside := []string{"nsenter", "--net=/proc/" + strconv.Itoa(pid) + "/ns/net"}
	for _, args := range [][]string{
		{"ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(pid)},
		{"ip", "addr", "add", here + "/30", "dev", link},
		{"ip", "link", "set", link, "up"},
		append(inside, "ip", "addr", "add", there+"/30", "dev", "eth0"),
		append(inside, "ip", "link", "set", "eth0", "up"),
		append(inside, "ip", "route", "add", "default", "via", here),
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/conf/"+link+"/forwarding", []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Otherwise nothing that it finds would say anything.
	ln, err := net.Listen("tcp", here+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	err = inNetwork(pid, func() error {
		conn, err := net.DialTimeout("tcp", ln.Addr().String(), 10*time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	})
	if err != nil {
		t.Fatalf("the neighbour does not reach this machine: %v", err)
	}
	return pid
}

var listening = regexp.MustCompile(`^\S+\s+\S+\s+\S+\s+(\S+):(\d+)\s.*pid=(\d+)`)

// onlyLoopback: what the node serves on the machine is on loopback or on their link.
func onlyLoopback(l *local, t *testing.T) {
	out, err := exec.Command("ss", "-Hltnp").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines, n := commandLines(), 0
	for _, line := range strings.Split(string(out), "\n") {
		match := listening.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		pid, err := strconv.Atoi(match[3])
		if err != nil || !strings.Contains(lines[pid], l.nodes) {
			continue
		}
		n++
		a, err := netip.ParseAddr(strings.Trim(strings.Split(match[1], "%")[0], "[]"))
		if err != nil || !a.IsLoopback() && a != l.config(t).HostAddr() {
			t.Errorf("%s listens at %s:%s, %v", lines[pid], match[1], match[2], err)
		}
	}
	if n == 0 {
		t.Errorf("nothing of the node listens:\n%s", out)
	}
}
