package image_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/stratahq/strata/internal/image"
	"github.com/stratahq/strata/internal/needs"
)

// container is a service's image that runs as modules run it: as its user, with a root
// file system that is read-only, and with what images/README.md says mounted.
type container struct {
	t      *testing.T
	socket string
	name   string
	ref    string
	dir    string // what is mounted
	net    string // file of its network namespace
	roots  *x509.CertPool
	execs  int
}

const (
	username = "app"
	database = "shop"
	password = "correct horse 'battery\" staple"
)

// service builds an image, loads it and prepares what is mounted.
func service(t *testing.T, socket, name string) *container {
	t.Helper()
	b := shared(t)
	for engine := range b.Recipes[name].Spec.Engines {
		if _, err := os.Stat(filepath.Join(b.Engines, engine)); err != nil {
			needs.Skip(t, "bin/%s is not built: make engines", engine)
		}
	}
	img, err := b.Build(t.Context(), b.Recipes[name])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := image.Load(t.Context(), socket, []image.Named{{Ref: img.Ref(), Image: img}}); err != nil {
		t.Fatal(err)
	}
	c := &container{t: t, socket: socket, name: name, ref: img.Ref(), dir: t.TempDir(), net: network(t)}
	for _, d := range []string{"secrets", "tls", "data", "run", "tmp"} {
		if err := os.Mkdir(filepath.Join(c.dir, d), 0o750); err != nil {
			t.Fatal(err)
		}
		// As a volume with fsGroup is.
		if err := errors.Join(os.Chown(filepath.Join(c.dir, d), 0, 65532), os.Chmod(filepath.Join(c.dir, d), 0o2775)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c.secret("secrets/password", []byte(password+"\n"))
	c.certify()
	return c
}

// secret writes a file as a mounted secret has it.
func (c *container) secret(name string, data []byte) {
	c.t.Helper()
	file := filepath.Join(c.dir, name)
	if err := errors.Join(os.WriteFile(file, data, 0o440), os.Chown(file, 0, 65532), os.Chmod(file, 0o440)); err != nil {
		c.t.Fatal(err)
	}
}

// certify makes a certificate for 127.0.0.1 of an authority of the test's own.
func (c *container) certify() {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: c.name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		c.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		c.t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	c.secret("tls/tls.crt", cert)
	c.secret("tls/tls.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	c.roots = x509.NewCertPool()
	c.roots.AppendCertsFromPEM(cert)
}

// tls is how a client trusts the server.
func (c *container) tls() *tls.Config {
	return &tls.Config{RootCAs: c.roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
}

// start starts the container and waits until it is ready.
func (c *container) start(env ...string) {
	c.t.Helper()
	args := []string{"run", "--detach", "--snapshotter", "overlayfs", "--read-only", "--with-ns", "network:" + c.net, "--log-uri", "file://" + c.log(), "--memory-limit", "536870912"}
	for _, e := range append([]string{"STRATA_USERNAME=" + username, "STRATA_DATABASE=" + database}, env...) {
		args = append(args, "--env", e)
	}
	for _, m := range []struct{ from, to, how string }{
		{"secrets", "/etc/strata/secrets", "ro"}, {"tls", "/etc/strata/tls", "ro"}, {"data", "/var/lib/strata", "rw"}, {"run", "/run/strata", "rw"}, {"tmp", "/tmp", "rw"},
	} {
		args = append(args, "--mount", fmt.Sprintf("type=bind,src=%s,dst=%s,options=rbind:%s", filepath.Join(c.dir, m.from), m.to, m.how))
	}
	if _, err := ctr(c.t.Context(), c.socket, append(args, c.ref, c.name)...); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if c.t.Failed() {
			b, err := os.ReadFile(c.log())
			c.t.Logf("log of %s (%v):\n%s", c.name, err, b)
		}
		// Most tests have stopped it: what is left over of a failed one is in the way.
		_, _ = ctr(context.WithoutCancel(c.t.Context()), c.socket, "task", "kill", "--signal", "SIGKILL", c.name)
		_, _ = ctr(context.WithoutCancel(c.t.Context()), c.socket, "task", "rm", "--force", c.name)
		_, _ = ctr(context.WithoutCancel(c.t.Context()), c.socket, "container", "rm", c.name)
	})
	eventually(c.t, c.name+" is ready", func() error {
		err := c.probe()
		if err != nil {
			if ended, lerr := c.ended(); ended && lerr == nil {
				c.t.Fatalf("%s has ended before it was ready: %v", c.name, err)
			}
		}
		return err
	})
}

func (c *container) log() string { return filepath.Join(c.dir, "log") }

// probe asks as the kubelet does.
func (c *container) probe() error {
	_, err := c.exec("/usr/bin/strata-entry", "probe")
	return err
}

func (c *container) exec(argv ...string) (string, error) {
	c.execs++
	return ctr(c.t.Context(), c.socket, append([]string{"task", "exec", "--exec-id", fmt.Sprintf("e%d", c.execs), c.name}, argv...)...)
}

// kill ends the container as a crash does.
func (c *container) kill() {
	c.t.Helper()
	c.signal("SIGKILL")
	c.gone()
	c.remove()
}

// stop stops the container as the kubelet does; it must end in order.
func (c *container) stop() {
	c.t.Helper()
	c.signal("SIGTERM")
	c.gone()
	c.removed()
}

func (c *container) signal(name string) {
	c.t.Helper()
	if _, err := ctr(c.t.Context(), c.socket, "task", "kill", "--signal", name, c.name); err != nil {
		c.t.Fatal(err)
	}
}

// remove removes the container that has ended, and returns what containerd says of that.
func (c *container) remove() string {
	c.t.Helper()
	out, err := ctr(c.t.Context(), c.socket, "task", "rm", c.name)
	if err != nil {
		out += err.Error()
	}
	if _, err := ctr(c.t.Context(), c.socket, "container", "rm", c.name); err != nil {
		c.t.Fatal(err)
	}
	return out
}

// removed removes the container, which must have ended in order.
func (c *container) removed() {
	c.t.Helper()
	if out := c.remove(); strings.Contains(out, "non-zero") || strings.Contains(out, "exit status") {
		c.t.Errorf("%s did not end in order: %s", c.name, out)
	}
}

// gone waits until the container has ended.
func (c *container) gone() {
	c.t.Helper()
	eventually(c.t, c.name+" ends", func() error {
		ended, err := c.ended()
		if err == nil && !ended {
			err = errors.New("it runs")
		}
		return err
	})
}

// ended says whether the container does not run any more.
func (c *container) ended() (bool, error) {
	out, err := ctr(c.t.Context(), c.socket, "task", "ls")
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == c.name && f[2] != "STOPPED" {
			return false, err
		}
	}
	return true, err
}

// dial connects to a port of the container.
func (c *container) dial(ctx context.Context, port string) (conn net.Conn, err error) {
	within(c.net, func() {
		var d net.Dialer
		conn, err = d.DialContext(ctx, "tcp", "127.0.0.1:"+port)
	})
	return conn, err
}

// The main goroutine keeps the main thread for itself: it can't end with a goroutine, and
// would hold the network that it is in.
func init() { runtime.LockOSThread() }

// network makes a network namespace and returns the file that holds it.
func network(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "net")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = unix.Mount(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), file, "", unix.MS_BIND, "")
		}
		if err == nil {
			var lo netlink.Link
			if lo, err = netlink.LinkByName("lo"); err == nil {
				err = netlink.LinkSetUp(lo)
			}
		}
		made <- err
	}()
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(file, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return file
}

// within calls f in a network namespace.
func within(file string, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // see network
		ns, err := os.Open(file)
		if err != nil {
			panic(err)
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			panic(err)
		}
		f()
	}()
	<-done
}

// logged waits until the log has a text.
func (c *container) logged(text string) {
	c.t.Helper()
	eventually(c.t, c.name+" logs "+text, func() error {
		b, err := os.ReadFile(c.log())
		if err == nil && !bytes.Contains(b, []byte(text)) {
			err = errors.New("it does not")
		}
		return err
	})
}
