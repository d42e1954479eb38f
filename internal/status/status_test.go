package status

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/store"
)

func unit(name string) addr.Unit { return addr.Unit{Env: "local", Name: name} }

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return o
}

// deployment is one with so many of its two pods ready.
func deployment(t *testing.T, unit, name string, ready int64) *cluster.Controller {
	t.Helper()
	o := object(t, `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"`+name+`","namespace":"apps","generation":1},
		"spec":{"replicas":2,"selector":{"matchLabels":{"app.kubernetes.io/name":"`+name+`"}},"template":{"spec":{"containers":[{"name":"main","image":"example/`+name+`:1"}]}}},
		"status":{"observedGeneration":1,"replicas":2,"updatedReplicas":2,"conditions":[{"type":"Available","status":"True"},{"type":"Progressing","status":"True","reason":"NewReplicaSetAvailable"}]}}`)
	for _, f := range []string{"readyReplicas", "availableReplicas"} {
		if err := unstructured.SetNestedField(o.Object, ready, "status", f); err != nil {
			t.Fatal(err)
		}
	}
	l := &cluster.Controller{Object: o, Unit: unit}
	for i := range int64(2) {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "apps"}}
		p.Status.Phase = corev1.PodRunning
		if i < ready {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", RestartCount: int32(i), Ready: i < ready}}
		l.Pods = append(l.Pods, p)
	}
	return l
}

// TestBuild puts an environment together in which there is one unit in each state.
func TestBuild(t *testing.T) {
	kube := func(name string) graph.Unit {
		return graph.Unit{Addr: unit(name), Kind: graph.Kube, Layer: model.LayerRuntime, Digest: "now"}
	}
	g, err := graph.New("local", []graph.Unit{
		{Addr: unit("account"), Kind: graph.Tofu, Layer: model.LayerProvisioning, Existing: true},
		kube("workloads/ready"), kube("workloads/waiting"), kube("workloads/hopeless"), kube("workloads/new"), kube("workloads/cut"), kube("workloads/damaged"),
	})
	if err != nil {
		t.Fatal(err)
	}
	row := func(name, digest string, st store.Status) store.Unit {
		return store.Unit{Addr: unit(name), Kind: "kube", Layer: "runtime", Digest: digest, Status: st, Applied: time.Unix(1, 0)}
	}
	waiting, hopeless := deployment(t, "local/workloads/waiting", "waiting", 1), deployment(t, "local/workloads/hopeless", "hopeless", 0)
	service := schema.GroupVersionKind{Version: "v1", Kind: "Service"}
	found := cluster.Found{Unit: "local/workloads/damaged", GVK: service, Namespace: "apps", Name: "there", State: cluster.State{Ready: true}}
	var images Images
	e, err := build(Source{
		Platform: "acme", Cloud: model.CloudLocal, Graph: g, Cluster: Cluster{Access: Running},
		Rows: []store.Unit{
			row("workloads/ready", "before", store.Applied), row("workloads/waiting", "now", store.Applied), row("workloads/hopeless", "now", store.Applied),
			row("workloads/cut", "now", store.Partial), row("workloads/damaged", "now", store.Applied), row("workloads/old", "now", store.Applied),
		},
		Digest: func(i Images) (func(graph.Unit) string, error) {
			images = i
			return func(u graph.Unit) string { return u.Digest }, nil
		},
		Routes: []Route{{URL: "http://ready", Unit: unit("workloads/ready")}, {URL: "http://waiting", Unit: unit("workloads/waiting")}},
	}, seen{
		controllers: []*cluster.Controller{deployment(t, "local/workloads/ready", "ready", 2), waiting, hopeless},
		found:       []cluster.Found{found},
		inventories: map[addr.Unit][]*unstructured.Unstructured{unit("workloads/damaged"): {
			object(t, `{"apiVersion":"v1","kind":"Service","metadata":{"name":"there","namespace":"apps"}}`),
			object(t, `{"apiVersion":"v1","kind":"Service","metadata":{"name":"missing","namespace":"apps"}}`),
		}},
		why:      map[*cluster.Controller][]string{waiting: {"pod waiting: its readiness probe does not succeed"}},
		hopeless: map[*cluster.Controller]bool{hopeless: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]State{
		"account": Existing, "workloads/ready": Ready, "workloads/waiting": NotReady, "workloads/hopeless": Failed, "workloads/new": NotApplied,
		"workloads/cut": Partial, "workloads/damaged": NotReady, "workloads/old": Left,
	}
	if len(e.Units) != len(want) {
		t.Errorf("%d units, want %d", len(e.Units), len(want))
	}
	for _, u := range e.Units {
		if u.State != want[u.Addr.Name] {
			t.Errorf("%s is %s, want %s", u.Addr.Name, u.State, want[u.Addr.Name])
		}
		if u.Changed != (u.Addr.Name == "workloads/ready") {
			t.Errorf("%s is changed: %v", u.Addr.Name, u.Changed)
		}
		switch u.Addr.Name {
		case "workloads/waiting":
			if u.Pods != 1 || u.Wanted != 2 || u.Restarts != 1 || !slices.Equal(u.Why, []string{"pod waiting: its readiness probe does not succeed"}) {
				t.Errorf("%+v", u)
			}
		case "workloads/damaged":
			if len(u.Why) != 1 || u.Why[0] != "Service/apps/missing: it is gone: somebody has deleted it" || len(u.Objects) != 2 {
				t.Errorf("%+v", u)
			}
		}
	}
	if e.Well() || e.Changed() != 1 || !e.Routes[0].Ready || e.Routes[1].Ready {
		t.Errorf("well %v, %d changed, routes %+v", e.Well(), e.Changed(), e.Routes)
	}
	if images["waiting"]["main"] != "example/waiting:1" {
		t.Errorf("images that run: %v", images)
	}
}

// TestBuildWithoutCluster says what is on record.
func TestBuildWithoutCluster(t *testing.T) {
	g, err := graph.New("local", []graph.Unit{{Addr: unit("network"), Kind: graph.Tofu}, {Addr: unit("workloads/api"), Kind: graph.Kube}})
	if err != nil {
		t.Fatal(err)
	}
	s := Source{Graph: g, Digest: func(Images) (func(graph.Unit) string, error) {
		return func(graph.Unit) string { return "" }, nil // nobody knows which images run
	}}
	for _, r := range []string{"network", "workloads/api"} {
		s.Rows = append(s.Rows, store.Unit{Addr: unit(r), Status: store.Applied, Digest: "then"})
	}
	for access, want := range map[Access][]State{Unreachable: {Ready, Unknown}, Stopped: {Unknown, Unknown}} {
		s.Cluster.Access = access
		e, err := Gather(t.Context(), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if e.Units[i].State != want[i] || e.Units[i].Changed {
				t.Errorf("%s: %+v, want %s", access, e.Units[i], want[i])
			}
		}
		if e.Well() {
			t.Errorf("an environment that is %s is well", access)
		}
	}
}
