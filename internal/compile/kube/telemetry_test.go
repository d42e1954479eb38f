package kube

import (
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestTelemetry: programs and sidecars are told where traces go, unless the workload
// says something else.
func TestTelemetry(t *testing.T) {
	const endpoint = "http://collector.monitoring.svc:4318"
	told := map[string]string{
		telemetryEndpoint: endpoint, telemetryService: "shop",
		telemetryAbout: "service.namespace=web,deployment.environment.name=local",
	}
	for name, c := range map[string]struct {
		endpoint string
		vars     []Variable
		app      map[string]string
		proxy    map[string]string
	}{
		"nowhere":                    {"", nil, map[string]string{}, map[string]string{}},
		"where the environment says": {endpoint, nil, told, told},
		"where the workload says": {
			endpoint, []Variable{{Name: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", Value: compose(text("http://own:4318"))}},
			map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://own:4318"}, map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://own:4318"},
		},
		"under a name of its own": {
			endpoint, []Variable{{Name: telemetryService, Value: compose(text("the-shop"))}},
			map[string]string{telemetryEndpoint: endpoint, telemetryService: "the-shop", telemetryAbout: told[telemetryAbout]}, told,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := &renderer{env: Env{Name: "local", Telemetry: c.endpoint}, w: Workload{Name: "shop", Team: "web", Containers: []Container{{Name: "main", Variables: c.vars}}}}
			got := func(list []corev1.EnvVar) map[string]string {
				out := map[string]string{}
				for _, v := range list {
					out[v.Name] = v.Value
				}
				return out
			}
			if app := got(r.telemetry(r.variables(r.w.Containers[0]))); !maps.Equal(app, c.app) {
				t.Errorf("the program has %v; want %v", app, c.app)
			}
			if proxy := got(r.proxyTelemetry("proxy")); !maps.Equal(proxy, c.proxy) {
				t.Errorf("the sidecar has %v; want %v", proxy, c.proxy)
			}
		})
	}
}

func TestTelemetryEgress(t *testing.T) {
	for endpoint, want := range map[string]string{
		"":                                     "[]\n",
		"http://collector.monitoring.svc:4318": "- ports:\n  - port: 4318\n    protocol: TCP\n  to:\n  - namespaceSelector:\n      matchLabels:\n        kubernetes.io/metadata.name: monitoring\n",
		"http://collector.monitoring.svc.cluster.local": "- ports:\n  - port: 80\n    protocol: TCP\n  to:\n  - namespaceSelector:\n      matchLabels:\n        kubernetes.io/metadata.name: monitoring\n",
		"http://10.1.2.3:4318":                          "- ports:\n  - port: 4318\n    protocol: TCP\n  to:\n  - ipBlock:\n      cidr: 10.1.2.3/32\n",
		"http://[fd00::1]:4318":                         "- ports:\n  - port: 4318\n    protocol: TCP\n  to:\n  - ipBlock:\n      cidr: fd00::1/128\n",
		"https://otlp.vendor.example":                   "- ports:\n  - port: 443\n    protocol: TCP\n  to:\n  - ipBlock:\n      cidr: 0.0.0.0/0\n      except:\n      - 169.254.169.254/32\n",
	} {
		rules := Env{Telemetry: endpoint}.telemetryEgress()
		got, err := yaml.Marshal(append(rules[:0:0], rules...))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want && !(len(rules) == 0 && want == "[]\n") {
			t.Errorf("%s:\n%s\nwant:\n%s", endpoint, got, want)
		}
	}
}
