package kube

import (
	"runtime"
	"testing"
)

// BenchmarkPlatform is what a build of an environment with 10,000 workloads
// does with this package: render, JSON for policy, YAML for the tree.
func BenchmarkPlatform(b *testing.B) {
	const workloads = 10_000
	env := prodEnv()
	for b.Loop() {
		objects, bytes := 0, 0
		for i := range workloads {
			r, err := RenderWorkload(env, benchWorkload(i))
			if err != nil {
				b.Fatal(err)
			}
			docs := make([][]byte, len(r.Objects))
			for j, obj := range r.Objects {
				if docs[j], err = MarshalJSON(obj); err != nil {
					b.Fatal(err)
				}
			}
			out, err := YAML(docs)
			if err != nil {
				b.Fatal(err)
			}
			objects += len(r.Objects)
			bytes += len(out)
		}
		b.ReportMetric(float64(objects), "objects/op")
		b.ReportMetric(float64(bytes)/1e6, "MB/op")
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.Sys)/1e6, "MB-from-OS")
}
