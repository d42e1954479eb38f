package kube

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// TestSidecarComesFirst: whatever else a pod starts may call others from its first
// moment, and only the proxy holds the pod's key.
func TestSidecarComesFirst(t *testing.T) {
	spec := find[*appsv1.Deployment](t, localEnv(), ordersWorkload("local")).Spec.Template.Spec
	first := spec.InitContainers[0]
	if first.Name != "strata-proxy" || first.RestartPolicy == nil || *first.RestartPolicy != corev1.ContainerRestartPolicyAlways {
		t.Errorf("the first container is %s", first.Name)
	}
	for _, c := range append(spec.InitContainers[1:], spec.Containers...) {
		for _, m := range c.VolumeMounts {
			if m.Name == identityVolume || m.Name == proxyVolume {
				t.Errorf("container %s mounts %s", c.Name, m.Name)
			}
		}
	}
}

// TestSidecarsWhereNeeded: who serves nothing and calls nobody has none, and neither has
// anybody in another mesh.
func TestSidecarsWhereNeeded(t *testing.T) {
	alone, serves, calls, udp := simple("local", "w"), simple("local", "w"), simple("local", "w"), simple("local", "w")
	serves.Ports = []Port{{Name: "web", Port: 80, Target: 8080}}
	calls.Calls = []Call{{Resource: "a", Workload: "a", Team: "shop", Port: 80, Target: 80, Traffic: "http", Listen: 15200}}
	udp.Ports = []Port{{Name: "dns", Port: 53, Target: 53, Protocol: "UDP"}}
	udp.Calls = []Call{{Resource: "a", Workload: "a", Team: "shop", Port: 53, Target: 53, Protocol: "UDP"}}
	noImage := localEnv()
	noImage.ProxyImage = ""
	for name, c := range map[string]struct {
		env  Env
		w    Workload
		want bool
	}{
		"alone": {localEnv(), alone, false}, "serves": {localEnv(), serves, true}, "calls": {localEnv(), calls, true}, "UDP": {localEnv(), udp, false},
		"istio": {prodEnv(), serves, false}, "no image": {noImage, serves, false},
	} {
		spec := find[*appsv1.Deployment](t, c.env, c.w).Spec.Template.Spec
		if got := len(spec.InitContainers) > 0; got != c.want || c.w.Meshed(c.env) != c.want {
			t.Errorf("%s: sidecar %v, want %v", name, got, c.want)
		}
	}
}

// TestConfigurationChangesTheName: a pod never runs with a configuration that was
// rendered for another.
func TestConfigurationChangesTheName(t *testing.T) {
	name := func(w Workload) string {
		cm := find[*corev1.ConfigMap](t, localEnv(), w)
		d := find[*appsv1.Deployment](t, localEnv(), w)
		for _, v := range d.Spec.Template.Spec.Volumes {
			if v.Name == proxyVolume && v.ConfigMap.Name != cm.Name {
				t.Errorf("the pod mounts %s, and there is %s", v.ConfigMap.Name, cm.Name)
			}
		}
		return cm.Name
	}
	w := simple("local", "w")
	w.Ports = []Port{{Name: "web", Port: 80, Target: 8080}}
	before := name(w)
	w.Callers = []Call{{Workload: "other", Team: "shop", Port: 80, Target: 8080}}
	if after := name(w); after == before {
		t.Errorf("another caller leaves the name %s", after)
	}
}

func TestMeshLimits(t *testing.T) {
	many := simple("local", "w")
	for i := range 101 {
		many.Ports = append(many.Ports, Port{Name: fmt.Sprint("p", i), Port: i + 1, Target: i + 1})
	}
	busy := simple("local", "w")
	for i := range 101 {
		busy.Calls = append(busy.Calls, Call{Resource: fmt.Sprint("r", i), Workload: "a", Team: "shop", Port: 80, Target: 80, Traffic: "http", Listen: 15200 + i})
	}
	for want, w := range map[string]Workload{"it has 101 ports; in the mesh it can have 100": many, "it calls more than 100 ports": busy} {
		if _, err := RenderWorkload(localEnv(), w); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want one with %q", err, want)
		}
	}
}

// TestOtherGatewaysInIstio: of a class whose pods nobody knows the account of, the whole
// namespace of gateways is let in.
func TestOtherGatewaysInIstio(t *testing.T) {
	for class, want := range map[string]string{
		"istio":  `"principals":["prod.acme.example/ns/strata-gateway/sa/internal-istio"]`,
		"strata": `"principals":["prod.acme.example/ns/strata-gateway/sa/internal-strata"]`,
		"nginx":  `"namespaces":["strata-gateway"]`,
	} {
		env := prodEnv()
		env.GatewayClass = class
		b, err := MarshalJSON(find[*AuthorizationPolicy](t, env, ordersWorkload("prod")))
		if err != nil || !bytes.Contains(b, []byte(want)) {
			t.Errorf("%s: %v, want %s in %s", class, err, want, b)
		}
	}
}

func TestIstioCopies(t *testing.T) {
	p := find[*AuthorizationPolicy](t, prodEnv(), ordersWorkload("prod"))
	before, err := MarshalJSON(p)
	if err != nil {
		t.Fatal(err)
	}
	c := p.DeepCopyObject().(*AuthorizationPolicy)
	c.Labels["x"], c.Spec.Selector.MatchLabels["x"] = "y", "y"
	c.Spec.Rules[0].From[0].Source.Principals[0], c.Spec.Rules[0].To[0].Operation.Ports[0] = "changed", "changed"
	if after, _ := MarshalJSON(p); !bytes.Equal(before, after) {
		t.Errorf("changing the copy changed the original: %s", after)
	}
	if (*AuthorizationPolicy)(nil).DeepCopyObject() != nil || (*PeerAuthentication)(nil).DeepCopyObject() != nil {
		t.Error("copy of nothing is something")
	}
}
