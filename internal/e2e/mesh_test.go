package e2e

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/proxytest"
)

// mesh: who did not declare a call has no way to the other, on the network and beyond it,
// and nobody in between reads what is said.
func mesh(l *local, t *testing.T) {
	m := &meshed{t: t, c: l.client(t), nodes: l.nodes, pods: map[string]*corev1.Pod{}}
	for _, w := range []struct{ team, workload string }{
		{"storefront", "storefront"}, {"storefront", "catalog"}, {"payments", "checkout"}, {"payments", "backoffice"}, {"payments", "fulfilment"}, {"insights", "recommender"},
	} {
		m.pods[w.workload] = m.pod(w.team, w.workload)
	}
	t.Run("no way", m.noWay)
	t.Run("no plaintext", m.noPlaintext)
	t.Run("no identity", m.noIdentity)
}

// meshed is the example's workloads, with a pod of each.
type meshed struct {
	t     *testing.T
	c     *cluster.Client
	nodes string
	pods  map[string]*corev1.Pod
}

// pod returns a running pod of a workload.
func (m *meshed) pod(team, workload string) *corev1.Pod {
	m.t.Helper()
	list, err := m.c.Typed.CoreV1().Pods(team).List(m.t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + workload})
	if err != nil {
		m.t.Fatal(err)
	}
	for i, p := range list.Items {
		if cluster.PodReady(&p) && p.DeletionTimestamp == nil {
			return &list.Items[i]
		}
	}
	m.t.Fatalf("no pod of %s is ready", workload)
	return nil
}

// process returns a process of a pod whose command line contains a text. Its files and
// its network are the pod's.
func (m *meshed) process(workload, command string) int {
	m.t.Helper()
	for pid, line := range commandLines() {
		groups, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cgroup"))
		uid := string(m.pods[workload].UID)
		if err == nil && strings.Contains(line, command) && (strings.Contains(string(groups), uid) || strings.Contains(string(groups), strings.ReplaceAll(uid, "-", "_"))) {
			return pid
		}
	}
	m.t.Fatalf("there is no process %s of %s", command, workload)
	return 0
}

// nodeProcess returns a process of the node itself, through whose network all pods talk.
func (m *meshed) nodeProcess() int {
	m.t.Helper()
	for pid, line := range commandLines() {
		if strings.Contains(line, m.nodes) && strings.Contains(line, "kubelet") {
			return pid
		}
	}
	m.t.Fatal("the node's kubelet does not run")
	return 0
}

// dial connects to an address from within a workload's pod.
func (m *meshed) dial(workload, address string, timeout time.Duration) (conn net.Conn, err error) {
	err = inNetwork(m.process(workload, "strata-proxy"), func() error {
		conn, err = net.DialTimeout("tcp", address, timeout)
		return err
	})
	return conn, err
}

func (m *meshed) address(workload string, port int) string {
	return net.JoinHostPort(m.pods[workload].Status.PodIP, strconv.Itoa(port))
}

// noWay: from a pod that calls nobody no port of any workload can be reached, nor one of
// its Services. From one that calls another, that one's port for mutual TLS can.
func (m *meshed) noWay(t *testing.T) {
	// The recommender declares no call.
	const stranger = "recommender"
	var addresses []string
	for name, p := range m.pods {
		if name == stranger {
			continue
		}
		// Those of programs, and all that a proxy may have.
		ports := []int{80, 443, 8080, 9090}
		for port := config.FirstPort; port <= config.LastPort; port++ {
			ports = append(ports, port)
		}
		for _, port := range ports {
			addresses = append(addresses, m.address(name, port))
		}
		svc, err := m.c.Typed.CoreV1().Services(p.Namespace).Get(t.Context(), name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue // it serves nobody
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, port := range svc.Spec.Ports {
			addresses = append(addresses, net.JoinHostPort(svc.Spec.ClusterIP, strconv.Itoa(int(port.Port))))
		}
	}
	nowhere(t, stranger, m.process(stranger, "strata-proxy"), addresses)
	conn, err := m.dial("storefront", m.address("catalog", config.InboundBase), 5*time.Second)
	if err != nil {
		t.Fatalf("storefront does not reach the catalog that it calls: %v", err)
	}
	conn.Close()
	// Nor does a gateway, which reaches workloads by their proxies, have a way to what they
	// need: whoever breaks into one is no further than before.
	m.pods[kube.ClassPublic] = m.pod(kube.GatewayNamespace, config.GatewayAccount(kube.ClassPublic, config.GatewayClass))
	services, err := m.c.Typed.CoreV1().Services(kube.DataNamespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var needed []string
	for _, svc := range services.Items {
		for _, port := range svc.Spec.Ports {
			needed = append(needed, net.JoinHostPort(svc.Spec.ClusterIP, strconv.Itoa(int(port.Port))))
		}
	}
	if len(needed) < 5 {
		t.Errorf("the example needs %v", needed)
	}
	gateway := m.process(kube.ClassPublic, "strata-proxy")
	nowhere(t, "a gateway", gateway, append(needed, m.address("storefront", 8080), m.address("storefront", config.MetricsPort)))
	if err := inNetwork(gateway, func() error {
		conn, err := net.DialTimeout("tcp", m.address("storefront", config.InboundBase), 5*time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	}); err != nil {
		t.Errorf("the gateway does not reach the shop: %v", err)
	}
	// Even then, the catalog's own port is not for others than its proxy.
	if conn, err := m.dial("storefront", m.address("catalog", 8080), 2*time.Second); err == nil {
		conn.Close()
		t.Error("storefront reaches the catalog's own port")
	}
}

// noPlaintext: what one workload says to another is to be seen where it leaves the one, and
// nowhere on the way.
func (m *meshed) noPlaintext(t *testing.T) {
	planted := "planted-" + random(t)
	way, err := capture(m.nodeProcess(), [2]string{m.pods["storefront"].Status.PodIP, m.pods["catalog"].Status.PodIP}, config.InboundBase)
	if err != nil {
		t.Fatal(err)
	}
	inside, err := capture(m.process("storefront", "strata-proxy"), [2]string{"127.0.0.1", "127.0.0.1"}, config.OutboundBase)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := m.dial("storefront", net.JoinHostPort("127.0.0.1", strconv.Itoa(config.OutboundBase)), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /readyz HTTP/1.1\r\nHost: catalog\r\nX-Planted: %s\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", planted, len(planted), planted)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("the catalog answers %s %q, %v", res.Status, body, err)
	}
	said, seen := inside.stop(planted), way.stop(planted)
	if said.plain == 0 {
		t.Errorf("%d packets before the proxy, and none has what was said: the capture does not work", said.between)
	}
	if seen.between == 0 || seen.plain > 0 {
		t.Errorf("of %d packets on the way, %d of them between the two, %d have what was said in plain text", seen.all, seen.between, seen.plain)
	}
	t.Logf("%d packets between the two, none in plain text", seen.between)
}

// noIdentity: with every network policy out of the way, only an identity that declares the
// call gets an answer.
func (m *meshed) noIdentity(t *testing.T) {
	ctx := t.Context()
	for _, namespace := range []string{"insights", "storefront"} {
		policies := m.c.Typed.NetworkingV1().NetworkPolicies(namespace)
		open := &netv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "test-open"}, Spec: netv1.NetworkPolicySpec{
			PolicyTypes: []netv1.PolicyType{netv1.PolicyTypeIngress, netv1.PolicyTypeEgress},
			Ingress:     []netv1.NetworkPolicyIngressRule{{}}, Egress: []netv1.NetworkPolicyEgressRule{{}},
		}}
		if _, err := policies.Create(ctx, open, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := policies.Delete(context.WithoutCancel(ctx), open.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				t.Error(err)
			}
		}()
	}
	domain := config.TrustDomain("local", "acme.example")
	caller := config.ID(domain, "storefront", "storefront")
	foreign, err := proxytest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	forged, err := foreign.Issue(caller, nil)
	if err != nil {
		t.Fatal(err)
	}
	expired := m.signed(t, caller, time.Now().Add(-time.Minute))
	for _, c := range []struct {
		name string
		conf *tls.Config // nil: plain text
		ok   bool
	}{
		{"who calls", m.credentials(t, "storefront"), true},
		{"who signs like it", m.signed(t, caller, time.Now().Add(time.Hour)), true}, // so that only the time is wrong below
		{"plain text", nil, false},
		{"no certificate", &tls.Config{InsecureSkipVerify: true}, false}, //nolint:gosec // whom this is refused by is no matter
		{"another authority's", shows(t, forged), false},
		{"expired", expired, false},
		{"who does not call", m.credentials(t, "recommender"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, err := m.ask(t, c.conf)
			switch {
			case c.ok && (err != nil || status != http.StatusOK):
				t.Errorf("the answer is %d, %v", status, err)
			case !c.ok && err == nil && status < 400:
				t.Errorf("it gets an answer: %d", status)
			}
			t.Logf("%d, %v", status, err)
		})
	}
}

// ask asks the catalog, from the recommender's pod, with a client's side of TLS. It waits for
// the network to be open.
func (m *meshed) ask(t *testing.T, conf *tls.Config) (int, error) {
	t.Helper()
	var conn net.Conn
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		var err error
		if conn, err = m.dial("recommender", m.address("catalog", config.InboundBase), 2*time.Second); err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("the network does not open: %v", err)
		}
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if conf != nil {
		conf = conf.Clone()
		conf.InsecureSkipVerify, conf.NextProtos = true, []string{"http/1.1"}
		conn = tls.Client(conn, conf)
	}
	if _, err := io.WriteString(conn, "GET /readyz HTTP/1.1\r\nHost: catalog\r\nConnection: close\r\n\r\n"); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	res.Body.Close()
	return res.StatusCode, nil
}

// credentials returns the certificate and key that a workload's pod has.
func (m *meshed) credentials(t *testing.T, workload string) *tls.Config {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(m.process(workload, "strata-proxy")), "root", config.CredentialsFile))
	if err != nil {
		t.Fatal(err)
	}
	return shows(t, b)
}

// shows is a client's side of TLS that has a key and a certificate, in PEM.
func shows(t *testing.T, b []byte) *tls.Config {
	t.Helper()
	pair, err := tls.X509KeyPair(b, b)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

// signed returns a certificate of the environment's own authority that holds until a time.
func (m *meshed) signed(t *testing.T, id string, until time.Time) *tls.Config {
	t.Helper()
	text, _, ok, err := cluster.ReadSecret(t.Context(), m.c, config.RootsPath("acme", "local"))
	if err != nil || !ok {
		t.Fatalf("the roots: %v, %v", ok, err)
	}
	var state struct {
		Roots []struct{ Phase, Certificate, Key string }
	}
	if err := json.Unmarshal([]byte(text), &state); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(state.Roots, func(r struct{ Phase, Certificate, Key string }) bool { return r.Phase == "signing" })
	root, err := tls.X509KeyPair([]byte(state.Roots[i].Certificate), []byte(state.Roots[i].Key))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	name, err := url.Parse(id)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, URIs: []*url.URL{name},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}, root.Leaf, &key.PublicKey, root.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func random(t *testing.T) string {
	t.Helper()
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b)
}
