package sidecar_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/stratahq/strata/internal/proxy/config"
)

// BenchmarkPair sends requests through two sidecars. make bench has the figures; this is
// for profiles.
func BenchmarkPair(b *testing.B) {
	m := newMesh(b)
	payload := make([]byte, 1024)
	api := m.start(spec{name: "api", callers: []string{"web"}, target: app(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(payload) }))})
	m.point("api.apps.svc", api)
	out := call("api", config.ProtocolHTTP)
	out.Timeout = config.Duration(30e9)
	web := m.start(spec{name: "web", outbound: []config.Outbound{out}})
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		c := client(b, false)
		for pb.Next() {
			resp, err := c.Get(web.url("api"))
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
}
