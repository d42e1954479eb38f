package kube_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/cluster/clustertest"
	compiled "github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/plan"
	"github.com/stratahq/strata/internal/runner/kube"
)

// world is a real API server with a runner.
type world struct {
	t          *testing.T
	kubeconfig string
	client     *cluster.Client
	runner     *kube.Runner
	notes      []string
}

// TestRunner shares one API server: starting it takes seconds. Each case has a
// namespace and units of its own.
func TestRunner(t *testing.T) {
	kubeconfig := clustertest.Start(t)
	client, err := cluster.Open(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, ns := range []string{cluster.SecretsNamespace} {
		namespace(t, client, ns)
	}
	for name, f := range map[string]func(*world, string){
		"create":    testCreate,
		"update":    testUpdate,
		"prune":     testPrune,
		"foreign":   testForeign,
		"conflict":  testConflict,
		"immutable": testImmutable,
		"claim":     testClaim,
		"destroy":   testDestroy,
		"drift":     testDrift,
		"bindings":  testBindings,
		"missing":   testMissingSecret,
		"cancelled": testCancelled,
		"notready":  testNotReady,
		"unknown":   testUnknownKind,
		"nocluster": testNoCluster,
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{t: t, kubeconfig: kubeconfig, client: client}
			w.within(time.Minute)
			namespace(t, client, name)
			f(w, name)
		})
	}
}

// within gives the world a runner that waits for what it applies for so long.
func (w *world) within(d time.Duration) {
	w.runner = kube.New(kube.Config{Saved: w.t.TempDir(), Timeout: d, Secrets: true})
}

func namespace(t *testing.T, c *cluster.Client, name string) {
	t.Helper()
	_, err := c.Typed.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

func meta(ns, name string) metav1.ObjectMeta {
	unit := addr.Unit{Env: "test", Name: "workloads/" + ns}
	return metav1.ObjectMeta{
		Namespace: ns, Name: name, Labels: map[string]string{"app.kubernetes.io/managed-by": "strata"},
		Annotations: map[string]string{compiled.AnnotationUnit: unit.String()},
	}
}

func configMap(ns, name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: meta(ns, name), Data: data}
}

func cronJob(ns, name string) *batchv1.CronJob {
	return &batchv1.CronJob{
		TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "CronJob"}, ObjectMeta: meta(ns, name),
		Spec: batchv1.CronJobSpec{Schedule: "0 0 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{
			Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "main", Image: "example.com/x@sha256:1"}}},
		}}}},
	}
}

func (w *world) task(ns string, op plan.Operation, objs ...compiled.Object) engine.Task {
	return engine.Task{
		Unit: graph.Unit{Addr: addr.Unit{Env: "test", Name: "workloads/" + ns}, Kind: graph.Kube}, Operation: op,
		Values:  map[string]any{engine.ClusterKubeconfig: w.kubeconfig},
		Objects: func() ([]compiled.Object, error) { return objs, nil },
		Emit:    func(e engine.Event) { w.notes = append(w.notes, e.Text) },
	}
}

func (w *world) plan(t engine.Task) *engine.Planned {
	w.t.Helper()
	p, err := w.runner.Plan(w.t.Context(), t)
	if err != nil {
		w.t.Fatalf("plan: %v", err)
	}
	return p
}

// apply plans and applies, and makes sure that nothing is left to do then.
func (w *world) apply(t engine.Task) (*engine.Planned, *engine.Applied) {
	w.t.Helper()
	p := w.plan(t)
	done, err := w.runner.Apply(w.t.Context(), t, p.Saved)
	if err != nil {
		w.t.Fatalf("apply: %v", err)
	}
	if again := w.plan(t); !again.Idle {
		w.t.Fatalf("a second plan would change %+v", again.Changes)
	}
	return p, done
}

func (w *world) failure(t engine.Task, err error) *engine.Failure {
	w.t.Helper()
	var f *engine.Failure
	if !errors.As(err, &f) {
		w.t.Fatalf("got %v, want a failure", err)
	}
	if f.Unit != t.Unit.Addr || f.Next == "" {
		w.t.Errorf("the failure names unit %q and %q as what to do next", f.Unit, f.Next)
	}
	return f
}

func (w *world) get(ns, name string) *corev1.ConfigMap {
	w.t.Helper()
	cm, err := w.client.Typed.CoreV1().ConfigMaps(ns).Get(w.t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return cm
}

func testCreate(w *world, ns string) {
	p, done := w.apply(w.task(ns, plan.Apply, configMap(ns, "a", map[string]string{"k": "v"}), configMap(ns, "b", nil)))
	if p.Counts.Create != 2 || !slices.Equal(done.Changed, []string{"ConfigMap/" + ns + "/a", "ConfigMap/" + ns + "/b"}) {
		w.t.Errorf("counts %+v, changed %v", p.Counts, done.Changed)
	}
	if cm := w.get(ns, "a"); cm == nil || cm.Data["k"] != "v" {
		w.t.Errorf("it is %+v", cm)
	}
}

func testUpdate(w *world, ns string) {
	w.apply(w.task(ns, plan.Apply, configMap(ns, "a", map[string]string{"k": "v", "same": "s"})))
	p, _ := w.apply(w.task(ns, plan.Apply, configMap(ns, "a", map[string]string{"k": "w", "same": "s"})))
	want := []plan.Attribute{{Path: "data.k", Before: "v", After: "w"}}
	if p.Counts.Update != 1 || len(p.Changes) != 1 || !slices.Equal(p.Changes[0].Attributes, want) {
		w.t.Errorf("got %+v", p.Changes)
	}
	// A key that is not wanted any more goes.
	w.apply(w.task(ns, plan.Apply, configMap(ns, "a", map[string]string{"k": "w"})))
	if cm := w.get(ns, "a"); len(cm.Data) != 1 {
		w.t.Errorf("data is %v", cm.Data)
	}
}

func testPrune(w *world, ns string) {
	other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "theirs", Namespace: ns}}
	if _, err := w.client.Typed.CoreV1().ConfigMaps(ns).Create(w.t.Context(), other, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	w.apply(w.task(ns, plan.Apply, configMap(ns, "a", nil), configMap(ns, "b", nil)))
	p, _ := w.apply(w.task(ns, plan.Apply, configMap(ns, "b", nil)))
	if p.Counts.Delete != 1 || p.Changes[0].Address != "ConfigMap/"+ns+"/a" {
		w.t.Errorf("got %+v", p.Changes)
	}
	if w.get(ns, "a") != nil || w.get(ns, "b") == nil || w.get(ns, "theirs") == nil {
		w.t.Error("not exactly what left the unit is gone")
	}
}

func testForeign(w *world, ns string) {
	other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: ns}, Data: map[string]string{"k": "theirs"}}
	if _, err := w.client.Typed.CoreV1().ConfigMaps(ns).Create(w.t.Context(), other, metav1.CreateOptions{FieldManager: "somebody"}); err != nil {
		w.t.Fatal(err)
	}
	t := w.task(ns, plan.Apply, configMap(ns, "a", map[string]string{"k": "ours"}))
	_, err := w.runner.Plan(w.t.Context(), t)
	f := w.failure(t, err)
	if f.Cause != engine.CauseConflict || !strings.Contains(f.Error(), "somebody") {
		w.t.Errorf("got %s: %v", f.Cause, f)
	}
	if cm := w.get(ns, "a"); cm.Data["k"] != "theirs" {
		w.t.Errorf("it was changed: %v", cm.Data)
	}
	// Nor is what the same unit of another platform has made, whatever this one has.
	w.apply(w.task(ns, plan.Apply, configMap(ns, "b", nil)))
	w.runner = kube.New(kube.Config{Platform: "other", Saved: w.t.TempDir()})
	t = w.task(ns, plan.Apply, configMap(ns, "b", nil))
	_, err = w.runner.Plan(w.t.Context(), t)
	w.failure(t, err)
	if p := w.plan(w.task(ns, plan.Destroy)); !p.Idle {
		w.t.Errorf("it would delete %+v", p.Changes)
	}
}

func testConflict(w *world, ns string) {
	w.apply(w.task(ns, plan.Apply, configMap(ns, "a", map[string]string{"k": "v"})))
	cm := w.get(ns, "a")
	cm.Data["k"] = "edited"
	if _, err := w.client.Typed.CoreV1().ConfigMaps(ns).Update(w.t.Context(), cm, metav1.UpdateOptions{FieldManager: "kubectl-edit"}); err != nil {
		w.t.Fatal(err)
	}
	t := w.task(ns, plan.Apply, configMap(ns, "a", map[string]string{"k": "v"}))
	p := w.plan(t)
	if len(p.Changes) != 1 || !strings.Contains(p.Changes[0].Reason, "kubectl-edit") || !strings.Contains(p.Changes[0].Reason, "data.k") {
		w.t.Fatalf("got %+v", p.Changes)
	}
	w.apply(t)
	if cm := w.get(ns, "a"); cm.Data["k"] != "v" {
		w.t.Errorf("data is %v", cm.Data)
	}
	// What the plan did not show is not taken.
	quiet := w.plan(w.task(ns, plan.Apply, configMap(ns, "a", map[string]string{"k": "next"})))
	cm = w.get(ns, "a")
	cm.Data["k"] = "edited again"
	if _, err := w.client.Typed.CoreV1().ConfigMaps(ns).Update(w.t.Context(), cm, metav1.UpdateOptions{FieldManager: "kubectl-edit"}); err != nil {
		w.t.Fatal(err)
	}
	_, err := w.runner.Apply(w.t.Context(), t, quiet.Saved)
	if f := w.failure(t, err); f.Cause != engine.CauseConflict {
		w.t.Errorf("got %s: %v", f.Cause, f)
	}
}

func testImmutable(w *world, ns string) {
	frozen := func(v string) *corev1.ConfigMap {
		yes := true
		cm := configMap(ns, "a", map[string]string{"k": v})
		cm.Immutable = &yes
		return cm
	}
	w.apply(w.task(ns, plan.Apply, frozen("v")))
	p, _ := w.apply(w.task(ns, plan.Apply, frozen("w")))
	if p.Counts.Replace != 1 || w.get(ns, "a").Data["k"] != "w" {
		w.t.Errorf("got %+v", p.Changes)
	}
}

// testClaim makes sure that a claim, which is its data, is never replaced.
func testClaim(w *world, ns string) {
	claim := func(class string) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"}, ObjectMeta: meta(ns, "data"),
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: &class,
				Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: *resource.NewQuantity(1<<20, resource.BinarySI)}},
			},
		}
	}
	w.apply(w.task(ns, plan.Apply, claim("one")))
	t := w.task(ns, plan.Apply, claim("two"))
	_, err := w.runner.Plan(w.t.Context(), t)
	if f := w.failure(t, err); !strings.Contains(f.Error(), "PersistentVolumeClaim") {
		w.t.Errorf("got %v", f)
	}
}

func testDestroy(w *world, ns string) {
	w.apply(w.task(ns, plan.Apply, configMap(ns, "a", nil), configMap(ns, "b", nil)))
	t := w.task(ns, plan.Destroy)
	p := w.plan(t)
	if p.Counts.Delete != 2 {
		w.t.Errorf("got %+v", p.Changes)
	}
	done, err := w.runner.Apply(w.t.Context(), t, p.Saved)
	if err != nil {
		w.t.Fatal(err)
	}
	if !slices.Equal(done.Changed, []string{"ConfigMap/" + ns + "/b", "ConfigMap/" + ns + "/a"}) {
		w.t.Errorf("deleted in the order %v", done.Changed)
	}
	if p := w.plan(t); !p.Idle {
		w.t.Errorf("still there: %+v", p.Changes)
	}
}

func testDrift(w *world, ns string) {
	objs := []compiled.Object{configMap(ns, "a", map[string]string{"k": "v"}), configMap(ns, "b", nil)}
	w.apply(w.task(ns, plan.Apply, objs...))
	cm := w.get(ns, "a")
	cm.Data["k"] = "changed"
	if _, err := w.client.Typed.CoreV1().ConfigMaps(ns).Update(w.t.Context(), cm, metav1.UpdateOptions{FieldManager: "kubectl-edit"}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.client.Typed.CoreV1().ConfigMaps(ns).Delete(w.t.Context(), "b", metav1.DeleteOptions{}); err != nil {
		w.t.Fatal(err)
	}
	p := w.plan(w.task(ns, plan.Drift, objs...))
	if p.Counts != (plan.Counts{Update: 1, Delete: 1}) || p.Saved != "" {
		w.t.Fatalf("got %+v", p)
	}
	if a := p.Changes[0].Attributes; len(a) != 1 || a[0].Before != "v" || a[0].After != "changed" {
		w.t.Errorf("got %+v", a)
	}
	if w.get(ns, "a").Data["k"] != "changed" || w.get(ns, "b") != nil {
		w.t.Error("looking for drift has changed something")
	}
	w.apply(w.task(ns, plan.Apply, objs...))
}

const planted = "planted-secret-value"

func bound(ns string) []graph.Binding {
	db := addr.Unit{Env: "test", Name: "workloads/" + ns + "/db"}
	return []graph.Binding{
		{Kind: "ConfigMap", Namespace: ns, Name: "app-outputs", Key: "db.port", Ref: &graph.Ref{Unit: db, Output: "port"}},
		{Kind: "Secret", Namespace: ns, Name: "app-secrets", Key: "db.password", Ref: &graph.Ref{Unit: db, Output: "password", Secret: true}, SecretPath: ns + "/db/password"},
		{Kind: "Secret", Namespace: ns, Name: "app-files", Key: "url", Template: []graph.TemplatePart{
			{Text: "pg://:"}, {Ref: &graph.Ref{Unit: db, Output: "password", Secret: true}, SecretPath: ns + "/db/password"},
			{Text: "@h:"}, {Ref: &graph.Ref{Unit: db, Output: "port"}},
		}},
	}
}

func testBindings(w *world, ns string) {
	t := w.task(ns, plan.Apply, cronJob(ns, "app"))
	t.Unit.Bindings = bound(ns)
	port := "workloads/" + ns + "/db.port"
	// Before the database is applied nothing is known, and nothing made up.
	t.Unknown = []string{port, "workloads/" + ns + "/db.password"}
	p := w.plan(t)
	if p.Saved != "" || p.Counts.Create != 4 {
		w.t.Fatalf("got %+v", p)
	}
	t.Unknown = nil
	t.Values[port] = json.Number("5432")
	if _, err := cluster.WriteSecret(w.t.Context(), w.client, ns+"/db/password", planted, false); err != nil {
		w.t.Fatal(err)
	}
	p, _ = w.apply(t)
	b, err := os.ReadFile(p.Saved)
	if err != nil {
		w.t.Fatal(err)
	}
	shown, err := json.Marshal(p)
	if err != nil {
		w.t.Fatal(err)
	}
	for what, text := range map[string]string{"saved plan": string(b), "plan": string(shown), "notes": strings.Join(w.notes, "\n")} {
		if strings.Contains(text, planted) || strings.Contains(text, "cGxhbnRlZC") {
			w.t.Errorf("the %s has the secret", what)
		}
	}
	if cm := w.get(ns, "app-outputs"); cm.Data["db.port"] != "5432" {
		w.t.Errorf("outputs are %v", cm.Data)
	}
	s, err := w.client.Typed.CoreV1().Secrets(ns).Get(w.t.Context(), "app-files", metav1.GetOptions{})
	if err != nil || string(s.Data["url"]) != "pg://:"+planted+"@h:5432" {
		w.t.Errorf("%v: %q", err, s.Data["url"])
	}
	before := w.stamp(ns)
	if before == "" {
		w.t.Error("the pods do not say what flows into them")
	}
	// Another secret makes other pods.
	if _, err := cluster.WriteSecret(w.t.Context(), w.client, ns+"/db/password", "another-value", true); err != nil {
		w.t.Fatal(err)
	}
	p, _ = w.apply(t)
	if p.Counts.Update != 3 || w.stamp(ns) == before {
		w.t.Errorf("counts %+v, stamp %s then %s", p.Counts, before, w.stamp(ns))
	}
}

func (w *world) stamp(ns string) string {
	w.t.Helper()
	c, err := w.client.Typed.BatchV1().CronJobs(ns).Get(w.t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return c.Spec.JobTemplate.Spec.Template.Annotations["strata.dev/bindings"]
}

// testMissingSecret: what people have not given is made up, in local environments
// only; what a unit should have made is an error.
func testMissingSecret(w *world, ns string) {
	store := addr.Platform("test", "secrets")
	given := graph.Binding{Kind: "Secret", Namespace: ns, Name: "app-secrets", Key: "token.value", Ref: &graph.Ref{Unit: store, Output: "value", Secret: true}, SecretPath: ns + "/token"}
	t := w.task(ns, plan.Apply, cronJob(ns, "app"))
	t.Unit.Bindings = []graph.Binding{given}
	w.apply(t)
	value, _, ok, err := cluster.ReadSecret(w.t.Context(), w.client, ns+"/token")
	if err != nil || !ok || len(value) < 20 {
		w.t.Errorf("%v, %v: %d characters", err, ok, len(value))
	}
	notes := strings.Join(w.notes, "\n")
	if !strings.Contains(notes, ns+"/token") || strings.Contains(notes, value) {
		w.t.Errorf("notes: %s", notes)
	}
	t.Unit.Bindings = append(t.Unit.Bindings, bound(ns)[1])
	p := w.plan(t)
	_, err = w.runner.Apply(w.t.Context(), t, p.Saved)
	if f := w.failure(t, err); f.Cause != engine.CauseInput || !strings.Contains(f.Error(), ns+"/db/password") {
		w.t.Errorf("got %v", f)
	}
}

// testCancelled: what a run that was cut off has made is on record.
func testCancelled(w *world, ns string) {
	t := w.task(ns, plan.Apply, configMap(ns, "a", nil), configMap(ns, "b", nil))
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	p := w.plan(t)
	t.Emit = func(e engine.Event) {
		if e.Type == engine.ResourceFinished {
			cancel()
		}
	}
	_, err := w.runner.Apply(ctx, t, p.Saved)
	if f := w.failure(t, err); !slices.Equal(f.Changed, []string{"ConfigMap/" + ns + "/a"}) {
		w.t.Errorf("changed %v: %v", f.Changed, f)
	}
	// The unit goes from the model before anybody goes on.
	gone := w.task(ns, plan.Destroy)
	if p := w.plan(gone); !slices.ContainsFunc(p.Changes, func(c plan.Change) bool { return c.Address == "ConfigMap/"+ns+"/a" }) {
		w.t.Errorf("got %+v", p.Changes)
	}
	w.apply(w.task(ns, plan.Apply, configMap(ns, "a", nil), configMap(ns, "b", nil)))
}

// testNotReady has no controllers, so no Deployment ever becomes ready.
func testNotReady(w *world, ns string) {
	labels := map[string]string{"app": "x"}
	d := &appsv1.Deployment{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: meta(ns, "app"),
		Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "x"}}},
		}},
	}
	w.within(3 * time.Second)
	t := w.task(ns, plan.Apply, d)
	p := w.plan(t)
	_, err := w.runner.Apply(w.t.Context(), t, p.Saved)
	f := w.failure(t, err)
	if f.Cause != engine.CauseTimeout || !slices.Contains(f.Changed, "Deployment/"+ns+"/app") {
		w.t.Errorf("got %s, changed %v: %v", f.Cause, f.Changed, f)
	}
}

func testUnknownKind(w *world, ns string) {
	o := configMap(ns, "a", nil)
	o.TypeMeta = metav1.TypeMeta{APIVersion: "example.com/v1", Kind: "Widget"}
	t := w.task(ns, plan.Apply, o)
	p := w.plan(t) // its definition may come with the same plan
	_, err := w.runner.Apply(w.t.Context(), t, p.Saved)
	if f := w.failure(t, err); f.Cause != engine.CauseConfig {
		w.t.Errorf("got %s: %v", f.Cause, f)
	}
}

func testNoCluster(w *world, ns string) {
	t := w.task(ns, plan.Apply, configMap(ns, "a", nil))
	t.Values, t.Unknown = nil, []string{engine.ClusterKubeconfig}
	if p := w.plan(t); p.Counts.Create != 1 || p.Saved != "" {
		w.t.Errorf("got %+v", p)
	}
	t = w.task(ns, plan.Destroy)
	t.Values[engine.ClusterKubeconfig] = "/nonexistent/kubeconfig"
	if p := w.plan(t); !p.Idle {
		w.t.Errorf("what went with its cluster is to be deleted: %+v", p.Changes)
	}
}
