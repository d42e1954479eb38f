package sidecar_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/proxytest"
)

// tcpApp serves each connection with f.
func tcpApp(t testing.TB, f func(*net.TCPConn)) int {
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c.(*net.TCPConn))
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func tcpPair(t testing.TB, f func(*net.TCPConn)) (web, db *pod) {
	m := newMesh(t)
	db = m.start(spec{name: "db", target: tcpApp(t, f), callers: []string{"web"}})
	m.point("db.apps.svc", db)
	return m.start(spec{name: "web", outbound: []config.Outbound{call("db", config.ProtocolTCP)}}), db
}

func TestTCPServerSpeaksFirst(t *testing.T) {
	web, db := tcpPair(t, func(c *net.TCPConn) {
		io.WriteString(c, "220 hello\r\n")
		line, _ := bufio.NewReader(c).ReadString('\n')
		fmt.Fprintf(c, "250 %s", line)
	})
	for range 3 {
		c := must(net.Dial("tcp", web.calls["db"]))
		r := bufio.NewReader(c)
		if line, err := r.ReadString('\n'); line != "220 hello\r\n" {
			t.Fatalf("got %q, %v", line, err)
		}
		io.WriteString(c, "EHLO x\n")
		if line, err := r.ReadString('\n'); line != "250 EHLO x\n" {
			t.Fatalf("got %q, %v", line, err)
		}
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("the end arrives as %v", err)
		}
		c.Close()
	}
	for p, want := range map[*pod]string{
		web: fmt.Sprintf(`strata_connections_total{direction="outbound",peer="%s",port="db"} 3`, proxytest.ID("db")),
		db:  fmt.Sprintf(`strata_connections_total{direction="inbound",peer="%s",port="web"} 3`, proxytest.ID("web")),
	} {
		if got := p.metric(t, "strata_connections_total"); !strings.Contains(got, want) {
			t.Errorf("%s has counted\n%s", p.name, got)
		}
	}
	eventually(t, "no connection is open", func() bool {
		return strings.Contains(web.metric(t, "strata_connections"), `port="db"} 0`) && strings.Contains(db.metric(t, "strata_connections"), `port="web"} 0`)
	})
}

// TestTCPHalfClose sends everything, says so, and reads the answer after that.
func TestTCPHalfClose(t *testing.T) {
	web, _ := tcpPair(t, func(c *net.TCPConn) {
		b, _ := io.ReadAll(c)
		c.Write(bytes.ToUpper(b))
	})
	c := must(net.Dial("tcp", web.calls["db"])).(*net.TCPConn)
	defer c.Close()
	sent := bytes.Repeat([]byte("abc"), 1<<20)
	must(c.Write(sent))
	check(t, c.CloseWrite())
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, bytes.ToUpper(sent)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestTCPEnds checks that the application learns when its client has gone.
func TestTCPEnds(t *testing.T) {
	ended := make(chan error, 1)
	web, _ := tcpPair(t, func(c *net.TCPConn) {
		io.WriteString(c, "x")
		_, err := io.ReadAll(c)
		ended <- err
	})
	c := must(net.Dial("tcp", web.calls["db"])).(*net.TCPConn)
	must(io.ReadFull(c, make([]byte, 1)))
	check(t, c.Close())
	<-ended
}

func TestTCPNobodyThere(t *testing.T) {
	m := newMesh(t)
	web := m.start(spec{name: "web", outbound: []config.Outbound{call("db", config.ProtocolTCP)}})
	c := must(net.Dial("tcp", web.calls["db"]))
	defer c.Close()
	if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	if !strings.Contains(web.log.String(), "it has no ready pods") {
		t.Errorf("the log does not say why:\n%s", web.log)
	}
}
