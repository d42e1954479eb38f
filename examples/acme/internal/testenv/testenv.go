// Package testenv starts the servers that tests need: real ones where they are
// installed (Postgres, RabbitMQ), and stand-ins in the test's own process for the others.
// All of them listen on the loopback interface, speak TLS with certificates of an
// authority of the test's own, and end with the test.
package testenv

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// CA is an authority and the certificate that all servers of a test share.
type CA struct {
	// File has the authority's certificate; programs trust it by SSL_CERT_FILE.
	File string
	// Cert and Key are files of the servers' certificate, which names localhost.
	Cert, Key string
	// Server is the same for servers in this process.
	Server *tls.Config
}

// made is the one authority of this process: Go reads the system's authorities once.
var made = sync.OnceValues(func() (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, err
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(6 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		return authority{}, err
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, leafKey.Public(), key)
	if err != nil {
		return authority{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		return authority{}, err
	}
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	return authority{block("CERTIFICATE", rootDER), block("CERTIFICATE", leafDER), block("PRIVATE KEY", keyDER)}, nil
})

type authority struct{ root, cert, key []byte }

// NewCA returns an authority, which this process trusts too from then on.
func NewCA(t *testing.T) CA {
	t.Helper()
	a, err := made()
	check(t, err)
	pair, err := tls.X509KeyPair(a.cert, a.key)
	check(t, err)
	dir := Dir(t, "ca")
	ca := CA{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"),
		&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}}
	check(t, os.WriteFile(ca.File, a.root, 0o644))
	check(t, os.WriteFile(ca.Cert, a.cert, 0o644))
	check(t, os.WriteFile(ca.Key, a.key, 0o644)) // of a test, and read by other users' servers
	t.Setenv("SSL_CERT_FILE", ca.File)
	t.Setenv("SSL_CERT_DIR", dir)
	return ca
}

// Dir makes a folder whose path is short and which every user may enter.
func Dir(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "acme-"+name+"-")
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	check(t, os.Chmod(dir, 0o755))
	return dir
}

// Ports come from a range below the one that the kernel gives to connections and to those
// who listen at port 0 (net.ipv4.ip_local_port_range begins at 32768): a port of that range
// may be somebody else's by the time that a server binds it.
const firstPort, ports = 20000, 12000

var nextPort atomic.Uint32

// FreePort returns a port of the loopback interface that nobody uses right now, and that
// it has not returned before.
func FreePort(t *testing.T) int {
	t.Helper()
	for range ports {
		port := firstPort + (os.Getpid()*97+int(nextPort.Add(1)))%ports
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		check(t, l.Close())
		return port
	}
	t.Fatalf("no port from %d to %d is free", firstPort, firstPort+ports-1)
	return 0
}

// Wait asks until the answer is nil. The test ends when it never is, which is shortly before
// all tests are out of time: how long something may take is for a busy machine to say.
func Wait(t *testing.T, what string, f func() error) {
	t.Helper()
	end := time.Now().Add(10 * time.Minute)
	if last, ok := t.Deadline(); ok {
		end = last.Add(-30 * time.Second)
	}
	err := f()
	for ; err != nil && time.Now().Before(end); err = f() {
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		t.Fatalf("waited in vain until %s: %v", what, err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// as returns attributes to run a server as another user, where this is root, which
// servers refuse to run as. The folders are given to that user.
func as(t *testing.T, name string, dirs ...string) *syscall.SysProcAttr {
	t.Helper()
	// A group of its own, so that what the server starts ends with it.
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		return attr
	}
	u, err := user.Lookup(name)
	if err != nil {
		lacks(t, "needs the user %s: its server does not run as root", name)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	for _, d := range dirs {
		check(t, os.Chown(d, uid, gid))
	}
	return attr
}

// Process is a program that a test has started.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error
	out   *syncBuffer
}

// start runs a command, which is killed at the end of the test at the latest.
func start(t *testing.T, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{cmd: cmd, ended: make(chan struct{}), out: &syncBuffer{}}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	// What it has started may hold its output open for a moment longer.
	cmd.WaitDelay = 2 * time.Second
	check(t, cmd.Start())
	go func() {
		defer close(p.ended)
		p.err = cmd.Wait()
	}()
	t.Cleanup(p.Kill)
	return p
}

// Kill ends the process and all that it started at once, as a crash would.
func (p *Process) Kill() { p.stop(syscall.SIGKILL) }

// Stop asks the process to end and waits until it has.
func (p *Process) Stop() error {
	p.stop(syscall.SIGTERM)
	return p.err
}

// Wait waits until the process has ended by itself.
func (p *Process) Wait() error {
	<-p.ended
	return p.err
}

// Until asks as the function Wait does; the test ends at once when the process has.
func (p *Process) Until(t *testing.T, what string, f func() error) {
	t.Helper()
	Wait(t, what, func() error {
		select {
		case <-p.ended:
			t.Fatalf("waited until %s, and %s has ended (%v):\n%s", what, filepath.Base(p.cmd.Path), p.err, p.Output())
		default:
		}
		return f()
	})
}

// Output is what the process has written.
func (p *Process) Output() string { return p.out.String() }

func (p *Process) stop(sig syscall.Signal) {
	_ = syscall.Kill(-p.cmd.Process.Pid, sig) // it may have ended
	<-p.ended
}

// Program starts a Go program of this repository with nothing but the given environment.
func Program(t *testing.T, file string, env map[string]string, args ...string) *Process {
	t.Helper()
	cmd := exec.Command(file, args...)
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return start(t, cmd)
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// lacks skips a test that lacks something; it fails instead where STRATA_TEST_ALL is set,
// as `make test` of the repository does for root.
func lacks(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("STRATA_TEST_ALL") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
