package node

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// The semantics of network policies by real connections: policies of namespace x, what
// they let through and what not. "x/a tcp:80" is pod x/a that connects to x/server;
// "x/a y tcp:80" connects to y/server, "x/a machine" to the machine.
var policyCases = []struct {
	name            string
	policies        []string
	allowed, denied []string
}{
	{"default deny ingress", []string{`{podSelector: {}}`}, []string{"x/a y tcp:80", "x/server y tcp:80"}, []string{"x/a tcp:80", "y/a tcp:80", "x/a udp:80"}},
	{"default deny egress", []string{`{podSelector: {}, policyTypes: [Egress]}`}, []string{"y/a tcp:80"}, []string{"x/a tcp:80", "x/a y tcp:80", "x/a machine", "x/a name"}},
	{"allow all beside deny", []string{`{podSelector: {}}`, `{podSelector: {matchLabels: {app: server}}, ingress: [{}]}`}, []string{"x/a tcp:80", "y/a udp:80"}, []string{"y/a x/b tcp:80"}},
	{"pods", []string{`{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{podSelector: {matchLabels: {app: a}}}]}]}`}, []string{"x/a tcp:80", "x/a udp:80", "x/a tcp:81"}, []string{"x/b tcp:80", "y/a tcp:80"}},
	{"namespaces", []string{`{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: why}}}]}]}`}, []string{"y/a tcp:80", "y/b tcp:80"}, []string{"x/a tcp:80"}},
	{"pods and namespaces", []string{`{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: why}}, podSelector: {matchLabels: {app: a}}}]}]}`}, []string{"y/a tcp:80"}, []string{"y/b tcp:80", "x/a tcp:80"}},
	{"pods or namespaces", []string{`{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: why}}}, {podSelector: {matchLabels: {app: a}}}]}]}`}, []string{"y/a tcp:80", "y/b tcp:80", "x/a tcp:80"}, []string{"x/b tcp:80"}},
	{"block without", []string{`{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{ipBlock: {cidr: 10.244.0.0/16, except: [$x/b/32]}}]}]}`}, []string{"x/a tcp:80", "y/a tcp:80"}, []string{"x/b tcp:80"}},
	{"named port", []string{`{podSelector: {matchLabels: {app: server}}, ingress: [{ports: [{port: alt}]}]}`}, []string{"x/a tcp:81"}, []string{"x/a tcp:80", "x/a udp:80"}},
	{"port range", []string{`{podSelector: {matchLabels: {app: server}}, ingress: [{ports: [{port: 81, endPort: 90}]}]}`}, []string{"x/a tcp:81"}, []string{"x/a tcp:80"}},
	{"protocol", []string{`{podSelector: {matchLabels: {app: server}}, ingress: [{ports: [{port: 80, protocol: UDP}]}]}`}, []string{"x/a udp:80"}, []string{"x/a tcp:80"}},
	{"by a service", []string{`{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 80}]}]}`}, []string{"x/a service"}, []string{"x/b service"}},
	{"egress to pods", []string{`{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: server}}}]}]}`}, []string{"x/a tcp:80", "x/b y tcp:80"}, []string{"x/a y tcp:80", "x/a machine", "x/a x/b tcp:80"}},
	{"egress to namespaces", []string{`{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {ns: why}}}]}]}`}, []string{"x/a y tcp:80"}, []string{"x/a tcp:80"}},
	{"egress by a service", []string{`{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: server}}}], ports: [{port: 80}]}]}`}, []string{"x/a service"}, []string{"x/a tcp:81"}},
	{"egress to a named port", []string{`{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{ports: [{port: alt}]}]}`}, []string{"x/a tcp:81"}, []string{"x/a tcp:80"}},
	{"egress to a range", []string{`{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{ports: [{port: 81, endPort: 82}]}]}`}, []string{"x/a tcp:81", "x/a y tcp:81"}, []string{"x/a tcp:80"}},
	{"egress UDP", []string{`{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{ports: [{protocol: UDP}]}]}`}, []string{"x/a udp:80", "x/a name"}, []string{"x/a tcp:80"}},
	{"egress to a block", []string{`{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [$x/server/32]}}]}]}`}, []string{"x/a machine", "x/a y tcp:80"}, []string{"x/a tcp:80"}},
	{"names alone", []string{`{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{port: 53, protocol: UDP}]}]}`}, []string{"x/a name"}, []string{"x/a tcp:80", "x/a machine"}},
	{"both ends", []string{`{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: server}}}]}]}`, `{podSelector: {matchLabels: {app: server}}, ingress: [{ports: [{port: 81}]}]}`}, []string{"x/a tcp:81", "x/b tcp:81"}, []string{"x/a tcp:80", "x/b tcp:80", "x/a x/b tcp:80"}},
}

// server is a pod with ports that have names.
func server(ns string) *corev1.Pod {
	p := pod(ns, "server", map[string]string{"app": "server"}, "tcp:80", "tcp:81", "udp:80")
	p.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: 80}, {Name: "alt", ContainerPort: 81}}
	return p
}

// network is what the policies' tests connect.
type network struct {
	*running
	ips     map[string]string
	machine string
}

func testPolicies(t *testing.T, n *running) {
	l, err := net.Listen("tcp", n.HostAddr().String()+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); c.Close() }()
		}
	}()
	w := network{n, map[string]string{}, l.Addr().String()}
	var pods []*corev1.Pod
	for _, ns := range []string{"x", "y"} {
		n.namespace(t, ns, map[string]string{"ns": map[string]string{"x": "ex", "y": "why"}[ns]})
		pods = append(pods, server(ns), pod(ns, "a", map[string]string{"app": "a"}, "tcp:80"), pod(ns, "b", map[string]string{"app": "b"}, "tcp:80"))
	}
	n.create(t, pods...)
	for _, p := range pods {
		w.ips[p.Namespace+"/"+p.Name] = n.answers(t, p.Namespace, p.Name)
	}
	if _, err := n.Typed.CoreV1().Services("x").Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "server"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "server"}, Ports: []corev1.ServicePort{{Port: 8000, TargetPort: intstr.FromInt32(80)}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	open := []string{"x/a tcp:80", "x/a udp:80", "x/a tcp:81", "y/a tcp:80", "x/a y tcp:80", "x/a machine", "x/a name", "x/a service"}
	w.settle(t, open, nil)
	for _, tt := range policyCases {
		t.Run(tt.name, func(t *testing.T) {
			w.apply(t, tt.policies)
			w.settle(t, tt.allowed, tt.denied)
			w.clear(t)
			w.settle(t, tt.denied, nil)
		})
	}
	t.Run("connections that exist", w.existing)
	t.Run("pods that come anew", w.anew)
	w.settle(t, open, nil)
}

func (w network) apply(t *testing.T, specs []string) {
	t.Helper()
	t.Cleanup(func() { w.clear(t) })
	var pairs []string
	for name, ip := range w.ips {
		pairs = append(pairs, "$"+name, ip)
	}
	for i, spec := range specs {
		np := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: fmt.Sprintf("p%d", i)}}
		if err := yaml.UnmarshalStrict([]byte(strings.NewReplacer(pairs...).Replace(spec)), &np.Spec); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Typed.NetworkingV1().NetworkPolicies("x").Create(t.Context(), np, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func (w network) clear(t *testing.T) {
	t.Helper()
	if err := w.Typed.NetworkingV1().NetworkPolicies("x").DeleteCollection(context.Background(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
}

// settle waits until what is denied is, and then what is allowed; then all must be so
// at once.
func (w network) settle(t *testing.T, allowed, denied []string) {
	t.Helper()
	check := func(connection string, want bool) error {
		err := w.connects(t, connection)
		if want || err != nil && strings.Contains(err.Error(), "from the API server") {
			return err
		}
		if err == nil {
			return fmt.Errorf("%s is allowed", connection)
		}
		return nil
	}
	for _, c := range denied {
		eventually(t, func() error { return check(c, false) })
	}
	for _, c := range allowed {
		eventually(t, func() error { return check(c, true) })
	}
	for _, c := range denied {
		if err := check(c, false); err != nil {
			t.Error(err)
		}
	}
}

// connects says why a connection is not possible. Where it cannot be asked for, the
// error says that it is from the API server.
func (w network) connects(t *testing.T, connection string) error {
	f := strings.Fields(connection)
	ns, name, _ := strings.Cut(f[0], "/")
	what := []string{"dial", "network", "tcp", "address", ""}
	switch to := f[len(f)-1]; {
	case to == "machine":
		what[4] = w.machine
	case to == "name":
		what = []string{"lookup", "name", "server.x.svc.cluster.local"}
	case to == "service":
		svc, err := w.Typed.CoreV1().Services("x").Get(t.Context(), "server", metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("from the API server: %w", err)
		}
		what[4] = svc.Spec.ClusterIP + ":8000"
	default:
		target := "x/server"
		if len(f) == 3 {
			if target = f[1]; !strings.Contains(target, "/") {
				target += "/server"
			}
		}
		network, port, _ := strings.Cut(to, ":")
		what[2], what[4] = network, w.ips[target]+":"+port
	}
	out, err := w.ask(t, ns, name, what[0], what[1:]...)
	if err != nil {
		return fmt.Errorf("from the API server: %w", err)
	}
	if out != "ok" {
		return fmt.Errorf("%s: %s", connection, out)
	}
	return nil
}

// existing: a connection ends when it is not allowed any more, and no other does.
func (w network) existing(t *testing.T) {
	for _, client := range []string{"a", "b"} {
		w.says(t, client, "hold", "network", "tcp", "address", w.ips["x/server"]+":80")
	}
	w.apply(t, []string{`{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{podSelector: {matchLabels: {app: a}}}]}]}`})
	w.settle(t, []string{"x/a tcp:80"}, []string{"x/b tcp:80"})
	if out, err := w.ask(t, "x", "b", "ping"); err != nil || out == "ok" {
		t.Errorf("the connection of b goes on: %s %v", out, err)
	}
	w.says(t, "a", "ping") // for good, had the connection ended
	w.clear(t)
	w.settle(t, []string{"x/b tcp:80"}, nil)
	w.says(t, "a", "ping")
}

// says wants a pod to answer "ok", and asks it a few times: it waits for a second itself.
func (w network) says(t *testing.T, pod, what string, args ...string) {
	t.Helper()
	var out string
	var err error
	for range 10 {
		if out, err = w.ask(t, "x", pod, what, args...); err == nil && out == "ok" {
			return
		}
	}
	t.Fatalf("%s of %s: %s %v", what, pod, out, err)
}

// anew: policies hold for a pod from its first moment, whatever address it has.
func (w network) anew(t *testing.T) {
	w.apply(t, []string{`{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{podSelector: {matchLabels: {app: a}}}]}]}`})
	w.settle(t, []string{"x/a tcp:80"}, []string{"x/b tcp:80"})
	for _, name := range []string{"server", "a", "b"} {
		w.replace(t, "x", name)
		w.settle(t, []string{"x/a tcp:80"}, []string{"x/b tcp:80"})
	}
}

// replace deletes a pod and makes it anew.
func (w network) replace(t *testing.T, ns, name string) {
	t.Helper()
	p, err := w.Typed.CoreV1().Pods(ns).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.remove(t, ns, name)
	fresh := pod(ns, name, p.Labels)
	fresh.Spec.Containers = p.Spec.Containers
	fresh.Spec.Containers[0].VolumeMounts = nil
	w.create(t, fresh)
	w.ips[ns+"/"+name] = w.answers(t, ns, name)
}
