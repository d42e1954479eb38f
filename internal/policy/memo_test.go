package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"

	"github.com/stratahq/strata/internal/model"
)

// plain returns v as decoded JSON.
func plain(t testing.TB, v any) any {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var out any
	if err := d.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

// mutate replaces, removes or adds a few values anywhere below v. The values
// are ones that rules look for, so that answers change.
func mutate(t *rapid.T, v any, words []any) any {
	for range rapid.IntRange(0, 4).Draw(t, "mutations") {
		v = mutateOnce(t, v, words)
	}
	return v
}

func mutateOnce(t *rapid.T, v any, words []any) any {
	word := func() any {
		return runtime.DeepCopyJSONValue(words[rapid.IntRange(0, len(words)-1).Draw(t, "word")])
	}
	switch v := v.(type) {
	case map[string]any:
		keys := slices.Sorted(maps.Keys(v))
		if len(keys) == 0 {
			return word()
		}
		k := keys[rapid.IntRange(0, len(keys)-1).Draw(t, "key")]
		switch rapid.IntRange(0, 9).Draw(t, "how") {
		case 0:
			delete(v, k)
		case 1:
			v[k] = word()
		case 2:
			if s, ok := word().(string); ok {
				v[s] = word()
			}
		default:
			v[k] = mutateOnce(t, v[k], words)
		}
		return v
	case []any:
		if len(v) == 0 || rapid.IntRange(0, 5).Draw(t, "append") == 0 {
			return append(v, word())
		}
		i := rapid.IntRange(0, len(v)-1).Draw(t, "index")
		v[i] = mutateOnce(t, v[i], words)
		return v
	}
	return word()
}

var objectWords = []any{
	nil, true, false, "", json.Number("0"), json.Number("1"), "ALL", "NET_RAW", "Unconfined", "RuntimeDefault", "default", "latest", "app:latest",
	"*", "secrets", "get", "cluster-admin", "Group", "system:authenticated", "NodePort", "LoadBalancer", "https", "public", "http", "hunter2",
	"DB_PASSWORD", "default-deny", "default-deny-ingress", "admin", "0.0.0.0/0", "Recreate", "100%", "0%", "hostNetwork", "privileged", "hostPath", "windows", "-----BEGIN PRIVATE KEY-----",
	map[string]any{}, []any{}, []any{map[string]any{}}, map[string]any{"name": "x", "type": "Unconfined"},
}

func randomObject(t *rapid.T) map[string]any {
	obj := deepCopy(pool()[rapid.IntRange(0, len(pool())-1).Draw(t, "object")])
	kind, api := obj["kind"], obj["apiVersion"]
	out, ok := mutate(t, obj, objectWords).(map[string]any)
	if !ok {
		out = map[string]any{}
	}
	out["kind"], out["apiVersion"] = kind, api
	return out
}

// pool holds an object of every kind that a rule names.
var pool = sync.OnceValue(func() []map[string]any {
	var out []map[string]any
	byKind := map[string]bool{}
	add := func(v any) {
		raw, _ := json.Marshal(v)
		var m map[string]any
		_ = json.Unmarshal(raw, &m)
		byKind[m["kind"].(string)] = true
		out = append(out, m)
	}
	for _, n := range []int{1, 2} {
		for _, o := range workloadObjects(n) {
			add(o)
		}
	}
	for _, o := range []string{
		`{"kind":"Role","metadata":{"name":"r","namespace":"n"},"rules":[{"verbs":["get"],"resources":["pods"],"apiGroups":[""]}]}`,
		`{"kind":"ClusterRoleBinding","metadata":{"name":"r"},"roleRef":{"name":"cluster-admin"},"subjects":[{"kind":"User","name":"ci"}]}`,
		`{"kind":"Secret","metadata":{"name":"s"},"data":{"a":"Yg=="}}`,
		`{"kind":"Namespace","metadata":{"name":"strata-x","labels":{"pod-security.kubernetes.io/enforce":"baseline"}}}`,
		`{"kind":"ResourceQuota","spec":{"hard":{"pods":"1"}}}`,
		`{"kind":"Gateway","spec":{"listeners":[{"name":"http","protocol":"HTTP","allowedRoutes":{"namespaces":{"from":"All"}}}]}}`,
		`{"kind":"Ingress","metadata":{"namespace":"default"},"spec":{"tls":[]}}`,
		`{"kind":"PeerAuthentication","spec":{"mtls":{"mode":"STRICT"}}}`,
		`{"kind":"StorageClass","provisioner":"ebs.csi.aws.com","parameters":{"encrypted":"true"}}`,
		`{"kind":"CronJob","spec":{"concurrencyPolicy":"Forbid","jobTemplate":{"spec":{"template":{"metadata":{"annotations":{"container.apparmor.security.beta.kubernetes.io/x":"unconfined"}},"spec":{"hostNetwork":true,"containers":[{"name":"a","image":"b"}]}}}}}}`,
		`{"kind":"Pod","metadata":{"name":"p"},"spec":{"os":{"name":"windows"},"hostUsers":false,"securityContext":{"sysctls":[{"name":"a"}],"seLinuxOptions":{"type":"spc_t"}},"volumes":[{"name":"v","hostPath":{"path":"/"}}],"initContainers":[{"name":"i"}],"containers":[{"name":"c","securityContext":{"privileged":true,"procMount":"Unmasked"}}],"ephemeralContainers":[{"name":"e"}]}}`,
	} {
		add(json.RawMessage(o))
	}
	return out
})

func deepCopy(m map[string]any) map[string]any { return runtime.DeepCopyJSON(m) }

// TestMemoChangesNothing is the claim on which speed rests: judging the parts
// that rules read, and remembering, says the same as judging all of every object.
func TestMemoChangesNothing(t *testing.T) {
	fast, slow := load(t), load(t)
	slow.forget = true
	said := map[string]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		obj := randomObject(rt)
		env := benchEnvironments[rapid.IntRange(0, len(benchEnvironments)-1).Draw(rt, "env")]
		env.TLS = rapid.SampledFrom([]string{"", "disabled", "acme"}).Draw(rt, "tls")
		env.Cloud = rapid.SampledFrom([]string{"aws", "local"}).Draw(rt, "cloud")
		oc := ObjectContext{Environment: &env}
		got, err := fast.Objects(context.Background(), oc, obj)
		if err != nil {
			rt.Fatal(err)
		}
		want, err := slow.Objects(context.Background(), oc, obj)
		if err != nil {
			rt.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			rt.Fatalf("with memory: %s\nwithout: %s\nobject: %s", says(got), says(want), says(obj))
		}
		for _, f := range got {
			said[f.Rule] = true
		}
	})
	if len(said) < 10 {
		t.Errorf("only %d rules said anything: the random objects are too tame", len(said))
	}
}

func says(v any) string {
	raw, _ := json.MarshalIndent(v, "", " ")
	return string(raw)
}

// TestMemoChangesNothingInModels is the same claim for the description.
func TestMemoChangesNothingInModels(t *testing.T) {
	fast, slow := load(t), load(t)
	slow.forget = true
	words := []any{nil, true, false, "", json.Number("0"), json.Number("1"), "disabled", "local", "shared", "s3", "1.20", "Allow", "schedule", "route", "postgres", "hunter2", "everyone", "admin"}
	in := benchModel(1)
	in.Platform.Spec.Access = []model.AccessRule{{Groups: []string{"platform"}, Role: "admin"}}
	env := in.Environments[2].Environment
	env.Spec.Ingress = &model.Ingress{TLS: "acme"}
	env.Spec.Network = &model.Network{Zones: 3, NAT: "per-zone"}
	env.Spec.Cluster.NodePools = []model.NodePool{{Name: "a", Min: 2, Max: 3}}
	env.Spec.Account = &model.Account{Create: &model.AccountCreate{Name: "x"}}
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom([]string{kindPlatform, kindEnvironment, kindWorkload}).Draw(rt, "kind")
		doc := plain(t, modelDocument{Kind: kind, Platform: in.Platform, Environment: env, Workload: in.Environments[2].Workloads[0].Workload})
		doc = mutate(rt, doc, words)
		got, err := fast.judge(context.Background(), StageModel, kind, document{value: doc})
		want, err2 := slow.judge(context.Background(), StageModel, kind, document{value: doc})
		if err != nil || err2 != nil {
			rt.Fatal(err, err2)
		}
		if !sameHits(got, want) {
			rt.Fatalf("with memory: %v\nwithout: %v\n%s", got, want, says(doc))
		}
	})
}

// TestProjectionOfPlans checks that plans lose nothing that rules read.
func TestProjectionOfPlans(t *testing.T) {
	fast, slow := load(t), load(t)
	slow.forget = true
	raw, err := os.ReadFile("testdata/plans/aws-bad.json")
	if err != nil {
		t.Fatal(err)
	}
	words := []any{nil, true, false, "", json.Number("0"), "*", "0.0.0.0/0", "aws_vpc", "delete", map[string]any{}, []any{}}
	rapid.Check(t, func(rt *rapid.T) {
		plan, err := DecodePlan(raw)
		if err != nil {
			rt.Fatal(err)
		}
		doc := document{value: mutate(rt, plan, words), facts: &planFacts{Environment: &benchEnvironments[2]}}
		got, err := fast.judge(context.Background(), StagePlan, "", doc)
		want, err2 := slow.judge(context.Background(), StagePlan, "", doc)
		if err != nil || err2 != nil {
			rt.Fatal(err, err2)
		}
		if !sameHits(got, want) {
			rt.Fatalf("projected: %v\nwhole: %v\n%s", got, want, says(doc.value))
		}
	})
}

func sameHits(a, b []hit) bool {
	key := func(hs []hit) []string {
		var out []string
		for _, h := range hs {
			out = append(out, fmt.Sprint(h.rule.ID, h.msg, h.address, h.place))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(key(a), key(b))
}

// TestProjectionIsEncodingJSON checks that a whole projection of a typed object
// is what encoding/json writes.
func TestProjectionIsEncodingJSON(t *testing.T) {
	values := workloadObjects(7)
	in := benchModel(2)
	values = append(values, in.Platform, in.Environments[0].Environment, in.Environments[0].Workloads[1].Workload)
	for _, v := range values {
		b, err := project(nil, v, wholeShape)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := plain(t, json.RawMessage(b)), plain(t, v); !reflect.DeepEqual(got, want) {
			t.Errorf("%T: got %s\nwant %s", v, says(got), says(want))
		}
	}
}

// TestTypedAndDecodedAgree checks that a typed object is judged as its JSON is.
func TestTypedAndDecodedAgree(t *testing.T) {
	set := load(t)
	for _, o := range workloadObjects(3) {
		kind, _, _ := identity(o)
		a, err := set.Objects(context.Background(), ObjectContext{}, o)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := json.Marshal(o)
		b, err := set.ObjectsJSON(context.Background(), ObjectContext{}, raw)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s: typed %s, decoded %s", kind, says(a), says(b))
		}
	}
}

// TestDisplayNameIsForMessages checks what the reader trusts built-in rules
// with: k8s.name occurs only as an operand of a sprintf whose value is the message.
func TestDisplayNameIsForMessages(t *testing.T) {
	set := load(t)
	total := 0
	for _, m := range set.modules {
		for _, r := range m.Rules {
			calls := countCalls(r.Body, "data.strata.lib.k8s.name") + countCalls(r.Head, "data.strata.lib.k8s.name")
			shown := 0
			for _, e := range r.Body {
				if !e.IsAssignment() || len(e.Operands()) != 2 || !strings.HasPrefix(e.Operand(1).String(), "sprintf(") {
					continue
				}
				msg := e.Operand(0)
				uses := 0
				ast.WalkVars(r.Body, func(v ast.Var) bool {
					if v.Compare(msg.Value) == 0 {
						uses++
					}
					return false
				})
				if r.Head.Key != nil && r.Head.Key.Equal(msg) && uses == 1 {
					shown += countCalls(e, "data.strata.lib.k8s.name")
				}
			}
			if shown != calls {
				t.Errorf("%s: k8s.name is used for more than the message", r.Location)
			}
			total += calls
		}
	}
	if total < 20 {
		t.Errorf("only %d uses of k8s.name found", total)
	}
}

func countCalls(x any, name string) int {
	n := 0
	ast.WalkTerms(x, func(t *ast.Term) bool {
		if c, ok := t.Value.(ast.Call); ok && (c[0].String() == name || c[0].String() == "k8s.name") {
			n++
		}
		return false
	})
	ast.WalkExprs(x, func(e *ast.Expr) bool {
		if e.IsCall() && (e.Operator().String() == name || e.Operator().String() == "k8s.name") {
			n++
		}
		return false
	})
	return n
}

func TestConcurrentUse(t *testing.T) {
	set := load(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { judgeWorkloads(t, set, 20) })
	}
	wg.Wait()
}
