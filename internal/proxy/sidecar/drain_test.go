package sidecar_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/proxytest"
	"github.com/stratahq/strata/internal/proxy/sidecar"
)

func TestReadiness(t *testing.T) {
	m := newMesh(t)
	p, o := m.prepare(spec{name: "web", outbound: []config.Outbound{call("api", config.ProtocolHTTP)}})
	p.volume = must(proxytest.NewVolume(t.TempDir()))
	m.run(p, o)
	get := func() (int, string) {
		resp, err := http.Get(fmt.Sprintf("http://%s:%d%s", p.address, config.HealthPort, config.ReadyPath))
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		return resp.StatusCode, string(must(io.ReadAll(resp.Body)))
	}
	eventually(t, "it waits", func() bool {
		code, text := get()
		return code == http.StatusServiceUnavailable && text == "waiting for the pod's credentials\n"
	})
	if code := p.probe(config.LivePath); code != http.StatusOK {
		t.Errorf("alive: %d", code)
	}
	if c, err := net.Dial("tcp", p.calls["api"]); err == nil {
		c.Close()
		t.Error("a call is open before there are credentials")
	}
	check(t, p.volume.Write(must(m.ca.Issue(proxytest.ID("web"), nil)), m.ca.Root()))
	eventually(t, "it is ready", func() bool { code, _ := get(); return code == http.StatusOK })
}

func TestPortIsTaken(t *testing.T) {
	m := newMesh(t)
	p, o := m.prepare(spec{name: "web", outbound: []config.Outbound{call("api", config.ProtocolHTTP)}})
	l := must(net.Listen("tcp", p.calls["api"]))
	defer l.Close()
	credentials := must(proxy.OpenCredentials(t.Context(), proxy.CredentialFiles{Key: p.volume.Key(), Trust: p.volume.Trust(), TrustDomain: proxytest.Domain}, slog.New(slog.DiscardHandler)))
	o.Credentials = credentials
	err := sidecar.Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "outbound api: listen on "+p.calls["api"]) {
		t.Errorf("got %v", err)
	}
}

// TestStopping tells both sidecars of a call to stop while a request, a stream of TCP and
// a WebSocket are on their way.
func TestStopping(t *testing.T) {
	inside, release := make(chan struct{}), make(chan struct{})
	upgrader := websocket.Upgrader{}
	m := newMesh(t)
	api := m.start(spec{name: "api", callers: []string{"web"}, grace: time.Minute, target: app(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/socket" {
			if c, err := upgrader.Upgrade(w, r, nil); err == nil {
				c.ReadMessage()
				c.Close()
			}
			return
		}
		close(inside)
		<-release
		io.WriteString(w, "done")
	}))})
	db := m.start(spec{name: "db", callers: []string{"web"}, grace: time.Second, target: tcpApp(t, func(c *net.TCPConn) { io.Copy(c, c) })})
	m.point("api.apps.svc", api)
	m.point("db.apps.svc", db)
	web := m.start(spec{name: "web", grace: time.Minute, outbound: []config.Outbound{call("api", config.ProtocolHTTP), call("db", config.ProtocolTCP)}})
	answer := make(chan reply, 1)
	go func() {
		got, err := try(client(t, false), request(t, "GET", web.url("api"), nil))
		if err != nil {
			t.Error(err)
		}
		answer <- got
	}()
	<-inside
	socket, resp, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+web.calls["api"]+"/socket", nil)
	check(t, err)
	resp.Body.Close()
	defer socket.Close()
	stream := must(net.Dial("tcp", web.calls["db"]))
	defer stream.Close()
	must(io.WriteString(stream, "x"))
	must(io.ReadFull(stream, make([]byte, 1)))

	api.stop()
	eventually(t, "it says that it stops", func() bool { return api.probe(config.ReadyPath) == http.StatusServiceUnavailable })
	eventually(t, "it takes no connections", func() bool {
		c, err := net.Dial("tcp", api.inbound())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	web.stop()
	select {
	case <-api.done:
		t.Fatal("ended with a request inside")
	case <-web.done:
		t.Fatal("ended with a call on its way")
	default:
	}
	close(release)
	if got := <-answer; got.code != http.StatusOK || got.body != "done" {
		t.Errorf("got %d %q", got.code, got.body)
	}
	<-api.done

	// A stream may last; it ends with the grace.
	must(io.WriteString(stream, "y"))
	must(io.ReadFull(stream, make([]byte, 1)))
	db.stop()
	<-db.done
	check(t, stream.SetReadDeadline(time.Now().Add(time.Minute)))
	if _, err := stream.Read(make([]byte, 1)); err == nil {
		t.Error("the stream goes on without the sidecar")
	}
	stream.Close()
	<-web.done
	if _, _, err := socket.ReadMessage(); err == nil {
		t.Error("the WebSocket goes on without the sidecar")
	}
}

// TestStopWhileWaiting ends a sidecar that never had credentials.
func TestStopWhileWaiting(t *testing.T) {
	m := newMesh(t)
	p, o := m.prepare(spec{name: "web"})
	p.volume = must(proxytest.NewVolume(t.TempDir()))
	m.run(p, o)
	eventually(t, "it is alive", func() bool { return p.probe(config.LivePath) == http.StatusOK })
	p.stop()
	<-p.done
	if p.err != nil {
		t.Error(p.err)
	}
}
