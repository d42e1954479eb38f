package node

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// testCertificates: components serve and use new certificates without being started anew.
func testCertificates(t *testing.T, n *running) {
	servers := map[string]string{"apiserver": n.inside(), "kubelet": "https://" + n.Addr().String() + ":10250", "metrics": "https://" + n.Addr().String() + ":4443"}
	serial := func(url string) (string, error) {
		c, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return "", err
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
	}
	before := map[string]string{}
	for name, url := range servers {
		var err error
		if before[name], err = serial(url); err != nil {
			t.Fatal(err)
		}
	}
	// All but the authorities' are lost, so they are made anew.
	for _, id := range n.identities() {
		if err := os.Remove(n.cert(id.name)); err != nil {
			t.Fatal(err)
		}
	}
	// The keeper looks every minute, too, and may be at it.
	eventually(t, func() error {
		_, err := n.certificates(time.Now())
		return err
	})
	for name, url := range servers {
		eventually(t, func() error {
			now, err := serial(url)
			if err == nil && now == before[name] {
				err = fmt.Errorf("%s serves the certificate that it had", name)
			}
			return err
		})
	}
	n.connect(t)
	n.works(t, "certificates")
}

// works shows that the cluster does: it runs a new pod and finds it by its name.
func (n *running) works(t *testing.T, ns string) {
	t.Helper()
	eventually(t, func() error {
		if !Ready(n.Dir) {
			return fmt.Errorf("the node is not ready: %s", lastLine(n.path("log", "init.log")))
		}
		_, err := n.Typed.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
		return err
	})
	ns = fmt.Sprintf("works-%s-%d", ns, time.Now().UnixNano()%1e9)
	n.namespace(t, ns, nil)
	n.create(t, pod(ns, "web", map[string]string{"app": "web"}, "tcp:80"))
	if _, err := n.Typed.CoreV1().Services(ns).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { return n.dials(t, ns, "web", "tcp", "web:80") })
}

// dials says why a pod does not reach an address.
func (n *running) dials(t *testing.T, ns, name, network, address string) error {
	t.Helper()
	out, err := n.ask(t, ns, name, "dial", "network", network, "address", address)
	if err == nil && out != "ok" {
		err = fmt.Errorf("%s/%s to %s: %s", ns, name, address, out)
	}
	return err
}

// processes returns the numbers of a component's processes.
func (n *running) processes(t *testing.T, component string) []int {
	t.Helper()
	pid := n.initPID(t)
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, file := range all {
		ns, err := os.Readlink(filepath.Join(filepath.Dir(file), "ns/pid"))
		if err != nil || ns != own {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		argv := strings.Split(string(b), "\x00")
		var p int
		fmt.Sscanf(file, "/proc/%d/", &p)
		switch {
		case len(argv) > 1 && argv[1] == component, component == "containerd" && filepath.Base(argv[0]) == component, component == "agent" && len(argv) > 2 && argv[2] == component:
			out = append(out, p)
		}
	}
	return out
}

// testComponents: each is killed; what runs runs on, and everything works again.
func testComponents(t *testing.T, n *running) {
	n.namespace(t, "stays", nil)
	n.create(t, pod("stays", "web", nil, "tcp:80"))
	kill := func(component string) {
		t.Helper()
		// A child that has not become what it is to be has its parent's command line.
		var pids []int
		eventually(t, func() error {
			if pids = n.processes(t, component); len(pids) != 1 {
				return fmt.Errorf("%s has the processes %v", component, pids)
			}
			return nil
		})
		if err := unix.Kill(pids[0], unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			if now := n.processes(t, component); len(now) != 1 || now[0] == pids[0] {
				return fmt.Errorf("%s has the processes %v", component, now)
			}
			return nil
		})
	}
	for _, component := range []string{"etcd", "kube-apiserver", "containerd", "kubelet", "agent"} {
		kill(component)
		n.works(t, component)
	}
	for _, component := range []string{"kube-controller-manager", "kube-scheduler", "kube-proxy", "coredns", "metrics-server"} {
		kill(component)
	}
	n.works(t, "others")
	p, err := n.Typed.CoreV1().Pods("stays").Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if restarts := p.Status.ContainerStatuses[0].RestartCount; restarts != 0 {
		t.Errorf("the pod was restarted %d times", restarts)
	}
	n.answers(t, "stays", "web")
}

// testInit: with the init process everything in the node ends, and is started anew.
func testInit(t *testing.T, n *running) {
	pid := n.initPID(t)
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		b, err := os.ReadFile(n.initFile())
		if err != nil {
			return err
		}
		if strings.HasPrefix(string(b), fmt.Sprintf("%d ", pid)) {
			return fmt.Errorf("process %d is the init process still", pid)
		}
		return nil
	})
	n.works(t, "init")
	n.answers(t, "stays", "web")
}

// testKeeper: with the keeper everything ends, and the node is started anew by whoever
// needs it.
func testKeeper(t *testing.T, n *running) {
	pid := Keeper(n.Dir)
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if Running(n.Dir) {
			return fmt.Errorf("keeper %d runs still", pid)
		}
		return nil
	})
	if Ready(n.Dir) {
		t.Error("a node without a keeper is ready")
	}
	n.again(t)
	n.works(t, "keeper")
	n.answers(t, "stays", "web")
}

// again starts the node.
func (n *running) again(t *testing.T) {
	t.Helper()
	began := time.Now()
	c, err := Start(t.Context(), n.options)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started again within %s", time.Since(began).Round(time.Millisecond))
	n.Config = c
	n.connect(t)
}

// testTwo: a node of the same name, kept elsewhere, beside the first.
func testTwo(t *testing.T, n *running) {
	root := Root()
	t.Setenv("STRATA_NODES", nodesFolder(t))
	other := up(t, n.options)
	if other.Link == n.Link || other.API == n.API || other.HTTP == n.HTTP {
		t.Fatalf("two nodes have the same: %+v and %+v", n.Config, other.Config)
	}
	other.works(t, "two")
	if _, err := other.Typed.CoreV1().Namespaces().Get(t.Context(), "stays", metav1.GetOptions{}); err == nil {
		t.Error("the second node is the first")
	}
	// The one's credentials are nothing to the other.
	if cert, _, err := n.read("apiserver"); err != nil {
		t.Fatal(err)
	} else if ca, _, err := other.read("ca"); err != nil {
		t.Fatal(err)
	} else if cert.CheckSignatureFrom(ca) == nil {
		t.Error("the second node's authority vouches for the first")
	}
	if err := Purge(t.Context(), other.Dir); err != nil {
		t.Fatal(err)
	}
	if left := other.left(t); left != "" {
		t.Errorf("left of the second node:\n%s", left)
	}
	t.Setenv("STRATA_NODES", root)
	n.works(t, "one")
}

// testStop: a stopped node has nothing on the machine but its folder, and comes back
// with all that was in it, even where somebody took its place on the machine.
func testStop(t *testing.T, n *running) {
	old := n.Config
	if err := Stop(t.Context(), n.Dir); err != nil {
		t.Fatal(err)
	}
	if left := strings.TrimPrefix(old.left(t), "file: "+old.Dir); left != "" {
		t.Errorf("left of the stopped node:\n%s", left)
	}
	place, err := reserve(old.Link)
	if err != nil {
		t.Fatal(err)
	}
	defer place.Close()
	n.again(t)
	if n.Link == old.Link {
		t.Errorf("the node took link %d from another", old.Link)
	}
	n.works(t, "stop")
	n.answers(t, "stays", "web")
	eventually(t, func() error {
		b, err := n.ask(t, "data", "db-0", "file", "name", "/data/kept")
		if err != nil || b != "kept" {
			return fmt.Errorf("the volume after the restart: %q %w", b, err)
		}
		return nil
	})
}
