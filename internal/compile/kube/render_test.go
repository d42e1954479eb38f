package kube

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/template"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/model"
)

// TestRefused has for every error the workload that causes it; change is
// applied to a workload that renders.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Workload)
		want   string
	}{
		"name":            {func(w *Workload) { w.Name = "Orders" }, "cannot name Kubernetes objects"},
		"long name":       {func(w *Workload) { w.Name = strings.Repeat("x", 64) }, "cannot name Kubernetes objects"},
		"service name":    {func(w *Workload) { w.Name = "4orders" }, "cannot name a Kubernetes Service"},
		"team":            {func(w *Workload) { w.Team = "a.b" }, `team "a.b" cannot name a namespace`},
		"no containers":   {func(w *Workload) { w.Containers = nil }, "no containers"},
		"container name":  {func(w *Workload) { w.Containers[0].Name = "Main" }, `container "Main"`},
		"output key":      {func(w *Workload) { w.Outputs = append(w.Outputs, Output{Resource: "a b", Name: "c"}) }, `output "a b.c" cannot be a key`},
		"no secret path":  {func(w *Workload) { w.Outputs = append(w.Outputs, Output{Resource: "a", Name: "b", Secret: true}) }, `"a.b" has no path`},
		"unlisted output": {func(w *Workload) { w.Outputs = w.Outputs[1:] }, `output "db.host" is used but not listed`},
		"scaled job":      {func(w *Workload) { w.Schedule, w.Routes = &Schedule{Cron: "* * * * *"}, nil }, "cannot have a horizontal-pod-autoscaler"},
		"routed job":      {func(w *Workload) { w.Schedule, w.Autoscaler = &Schedule{Cron: "* * * * *"}, nil }, "cannot have routes"},
		"max < min":       {func(w *Workload) { w.Autoscaler.Max = 2 }, "max 2 is less than min 3"},
		"no queue":        {func(w *Workload) { w.Autoscaler.Queue = "" }, "needs the name of a queue"},
		"scaled volume":   {func(w *Workload) { w.Volumes = []Volume{{Resource: "v", Size: "1Gi"}} }, `volume "v" can be mounted by one pod only (ReadWriteOnce), so the workload cannot have a horizontal-pod-autoscaler with max 20`},
		"replicated volume": {func(w *Workload) {
			w.Autoscaler, w.Replicas, w.Volumes = nil, ptr(2), []Volume{{Resource: "v", Size: "1Gi"}}
		}, "cannot have 2 replicas"},
		"volume size": {func(w *Workload) { w.Autoscaler, w.Volumes = nil, []Volume{{Resource: "v", Size: "big"}} }, `size "big" is not a quantity`},
		"access mode": {func(w *Workload) {
			w.Autoscaler, w.Volumes = nil, []Volume{{Resource: "v", Size: "1Gi", AccessMode: "All"}}
		}, `access mode "All"`},
		"unknown volume": {func(w *Workload) { w.Containers[0].Mounts = []Mount{{Path: "/v", Volume: "v"}} }, `mounts "v", which is no volume`},
		"mounted twice":  {func(w *Workload) { w.Containers[0].Files = append(w.Containers[0].Files, w.Containers[0].Files[0]) }, "two things are mounted at /etc/orders/app.conf"},
		"same port":      {func(w *Workload) { w.Ports[0].Port = 80 }, `ports "metrics" and "web" have the same number 80`},
		"same path":      {func(w *Workload) { w.Routes[1].Path = "/" }, `routes "root" and "api" have the same host and path`},
		"route's port":   {func(w *Workload) { w.Routes[0].Port = 81 }, `route "root" leads to TCP port 81`},
		"route's class":  {func(w *Workload) { w.Routes[0].Class = "secret" }, `class "secret"`},
		"route's host":   {func(w *Workload) { w.Routes[0].Host = "not a host" }, `host "not a host"`},
		"circle": {func(w *Workload) {
			w.Containers[0].Before = map[string]model.ContainerDependsOn{"proxy": {Ready: "started"}}
		}, "in a circle: "},
		"before nobody": {func(w *Workload) {
			w.Containers[0].Before = map[string]model.ContainerDependsOn{"x": {Ready: "started"}}
		}, `must come before "x", which does not exist`},
		"before state": {func(w *Workload) {
			w.Containers[1].Before = map[string]model.ContainerDependsOn{"main": {Ready: "dead"}}
		}, "want started, healthy or complete"},
		"healthy, no probe": {func(w *Workload) { w.Containers[2].Readiness = nil }, "it has no probe"},
		"quantity":          {func(w *Workload) { w.Containers[0].Resources.Requests.CPU = "much" }, `cpu "much" is not a quantity`},
		"request > limit":   {func(w *Workload) { w.Containers[0].Resources.Requests.Memory = "2Gi" }, "requests 2Gi of memory, which is more than its limit 1Gi"},
		"probe":             {func(w *Workload) { w.Containers[0].Liveness = &model.Probe{Exec: &model.ExecProbe{}} }, "empty command"},
		"variable":          {func(w *Workload) { w.Containers[0].Variables[0].Name = "É" }, `variable "É"`},
		"relative file":     {func(w *Workload) { w.Containers[0].Files[0].Path = "etc/x" }, `cannot mount anything at "etc/x"`},
		"root":              {func(w *Workload) { w.Containers[0].Files[0].Path = "/x/.." }, "cannot mount anything at"},
		"colon":             {func(w *Workload) { w.Containers[0].Files[0].Path = "/a:b" }, "cannot mount anything at"},
		"out of volume": {func(w *Workload) {
			w.Volumes, w.Containers[0].Mounts = []Volume{{Resource: "v", Size: "1Gi", Ephemeral: true}}, []Mount{{Path: "/v", Volume: "v", SubPath: "/a/../.."}}
		}, "leads out of volume"},
		"route's path": {func(w *Workload) { w.Routes[0].Path = "x" }, `path "x"`},
		"route to UDP": {func(w *Workload) { w.Ports[1].Protocol = "UDP" }, "leads to TCP port 80"},
		"file mode":    {func(w *Workload) { w.Containers[0].Files[0].Mode = "0888" }, `mode "0888"`},
		"file size":    {func(w *Workload) { w.Containers[0].Files[0].Content = compose(text(strings.Repeat("x", 1<<20+1))) }, "file /etc/orders/app.conf has 1048577 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			w := ordersWorkload("prod")
			c.change(&w)
			got, err := RenderWorkload(prodEnv(), w)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want one with %q", err, c.want)
			}
			if got.Objects != nil {
				t.Error("objects in spite of an error")
			}
		})
	}
	for name, team := range map[string]Team{
		"name":   {Name: "A"},
		"cpu":    {Name: "a", Team: model.Team{Quota: &model.TeamQuota{CPU: "x"}}},
		"memory": {Name: "a", Team: model.Team{Quota: &model.TeamQuota{Memory: "x"}}},
	} {
		if _, err := RenderTeam(prodEnv(), team); err == nil {
			t.Errorf("team with bad %s: no error", name)
		}
	}
}

func TestErrorsAreJoined(t *testing.T) {
	w := simple("prod", "Bad")
	w.Team = "Worse"
	_, err := RenderWorkload(prodEnv(), w)
	if err == nil || !strings.Contains(err.Error(), "Bad") || !strings.Contains(err.Error(), "Worse") {
		t.Errorf("error = %v, want both", err)
	}
}

// find returns the object of type T.
func find[T Object](t *testing.T, env Env, w Workload) (out T) {
	t.Helper()
	r, err := RenderWorkload(env, w)
	if err != nil {
		t.Fatal(err)
	}
	check(t, r)
	for _, obj := range r.Objects {
		if o, ok := obj.(T); ok {
			return o
		}
	}
	return out
}

func TestDefaultReplicas(t *testing.T) {
	protected := localEnv()
	protected.Protected = true
	w := simple("x", "w")
	zero := w
	zero.Replicas = ptr(0)
	single := w
	single.Volumes = []Volume{{Resource: "v", Size: "1Gi"}}
	for name, c := range map[string]struct {
		env  Env
		w    Workload
		want int32
	}{
		"local": {localEnv(), w, 1}, "protected local": {protected, w, 2}, "prod": {prodEnv(), w, 2}, "given": {prodEnv(), zero, 0}, "volume": {prodEnv(), single, 1},
	} {
		if got := *find[*appsv1.Deployment](t, c.env, c.w).Spec.Replicas; got != c.want {
			t.Errorf("%s: %d replicas, want %d", name, got, c.want)
		}
	}
	w.Autoscaler = &Autoscaler{Max: 5}
	if got := find[*appsv1.Deployment](t, prodEnv(), w).Spec.Replicas; got != nil {
		t.Errorf("%d replicas, want none beside an autoscaler", *got)
	}
}

func TestScoreQuantities(t *testing.T) {
	w := simple("prod", "w")
	w.Containers[0].Resources = model.ContainerResources{Requests: &model.Compute{CPU: "0.5", Memory: "0.5"}, Limits: &model.Compute{CPU: "2", Memory: "500K"}}
	res := find[*appsv1.Deployment](t, prodEnv(), w).Spec.Template.Spec.Containers[0].Resources
	if got := fmt.Sprint(res.Requests.Cpu(), res.Requests.Memory(), res.Limits.Cpu(), res.Limits.Memory()); got != "500m 1 2 500k" {
		t.Errorf("resources: %s", got)
	}
	w.Containers[0].Resources = model.ContainerResources{Limits: &model.Compute{CPU: "500m", Memory: "1Gi"}}
	res = find[*appsv1.Deployment](t, prodEnv(), w).Spec.Template.Spec.Containers[0].Resources
	if got := fmt.Sprint(res.Requests.Cpu(), res.Requests.Memory(), res.Limits.Cpu(), res.Limits.Memory()); got != "500m 1Gi 500m 1Gi" {
		t.Errorf("requests that are not given: %s", got)
	}
}

func TestFilesChangeTheName(t *testing.T) {
	name := func(content string, mode string) (string, *appsv1.Deployment) {
		w := simple("prod", "w")
		w.Containers[0].Files = []File{{Path: "/a", Content: compose(text(content)), Mode: mode}}
		return find[*corev1.ConfigMap](t, prodEnv(), w).Name, find[*appsv1.Deployment](t, prodEnv(), w)
	}
	one, d1 := name("one", "")
	two, d2 := name("two", "")
	if one == two || d1.Spec.Template.Spec.Volumes[0].ConfigMap.Name != one || d2.Spec.Template.Spec.Volumes[0].ConfigMap.Name != two {
		t.Errorf("names %s and %s", one, two)
	}
	if _, d := name("one", "0500"); *d.Spec.Template.Spec.Volumes[0].ConfigMap.Items[0].Mode != 0o500 {
		t.Error("mode is lost")
	}
}

func TestManyFiles(t *testing.T) {
	w := simple("prod", "w")
	half := strings.Repeat("x", 1<<19)
	for _, path := range []string{"/a/b", "/a-b", "/..data", "/...", "/c d", "/" + strings.Repeat("long/", 60)} {
		w.Containers[0].Files = append(w.Containers[0].Files, File{Path: path, Content: compose(text(half))})
	}
	r, err := RenderWorkload(prodEnv(), w)
	if err != nil {
		t.Fatal(err)
	}
	check(t, r)
	var maps, files int
	for _, obj := range r.Objects {
		if cm, ok := obj.(*corev1.ConfigMap); ok {
			maps++
			files += len(cm.Data)
		}
	}
	if maps != 3 || files != len(w.Containers[0].Files) {
		t.Errorf("%d files in %d ConfigMaps, want %d in 3", files, maps, len(w.Containers[0].Files))
	}
}

func TestManyRoutes(t *testing.T) {
	w := ordersWorkload("prod")
	w.Routes = nil
	for i := range 40 {
		w.Routes = append(w.Routes, Route{Resource: fmt.Sprint("r", i), Class: ClassPublic, Host: "a.example", Path: fmt.Sprintf("/%d", i), Port: 80})
	}
	r, err := RenderWorkload(prodEnv(), w)
	if err != nil {
		t.Fatal(err)
	}
	check(t, r)
	var got []string
	for _, obj := range r.Objects {
		if route, ok := obj.(*gwv1.HTTPRoute); ok {
			got = append(got, fmt.Sprintf("%s %d", route.Name, len(route.Spec.Rules)))
		}
	}
	if want := []string{"orders.public.a.example 16", "orders.public-2.a.example 16", "orders.public-3.a.example 8"}; !slices.Equal(got, want) {
		t.Errorf("routes %q, want %q", got, want)
	}
}

func TestNoIngressNoRoutes(t *testing.T) {
	env := prodEnv()
	env.IngressDomain = ""
	r, err := RenderWorkload(env, ordersWorkload("prod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range r.Objects {
		if b, _ := MarshalJSON(obj); bytes.Contains(b, []byte(GatewayNamespace)) {
			t.Errorf("%s knows of gateways: %s", obj.GetName(), b)
		}
	}
}

func TestHelperNamesAreUnique(t *testing.T) {
	a, b := Output{Resource: "my-db", Name: "host"}, Output{Resource: "my.db", Name: "host"}
	w := simple("prod", "w")
	w.Outputs = []Output{a, b}
	w.Containers[0].Variables = []Variable{
		{"STRATA_MY_DB_HOST_2", compose(text("taken"))},
		{"URL", compose(output(a), text(","), output(b), text(","), output(a))},
	}
	env := find[*appsv1.Deployment](t, prodEnv(), w).Spec.Template.Spec.Containers[0].Env
	if got := env[len(env)-1].Value; got != "$(STRATA_MY_DB_HOST),$(STRATA_MY_DB_HOST_3),$(STRATA_MY_DB_HOST)" || len(env) != 4 {
		t.Errorf("%d variables, the last: %s", len(env), got)
	}
}

// expand does what Kubernetes' documentation says of dependent variables:
// $(NAME) is replaced if NAME is known, $$ is a dollar, all else stays.
func expand(s string, vars map[string]string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '$' && i+1 < len(s) && s[i+1] == '$' {
			b.WriteByte('$')
			i++
			continue
		}
		if s[i] == '$' && i+1 < len(s) && s[i+1] == '(' {
			if end := strings.IndexByte(s[i:], ')'); end > 0 {
				if v, ok := vars[s[i+2:i+end]]; ok {
					b.WriteString(v)
					i += end
					continue
				}
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func TestCompositesProperty(t *testing.T) {
	o := Output{Resource: "db", Name: "host"}
	secret := Output{Resource: "db", Name: "password", Secret: true, SecretPath: "x"}
	values := map[string]string{o.Key(): "{{h}}$(STRATA_DB_HOST)$", secret.Key(): "p{{"}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Part {
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				return output(o)
			case 1:
				return output(secret)
			}
			return text(rapid.StringMatching(`[${}() .x"STRATA_DB_HOST]{0,8}`).Draw(t, "text"))
		})).Draw(t, "parts")
		var want strings.Builder
		for _, p := range parts {
			if p.Output != nil {
				want.WriteString(values[p.Output.Key()])
			} else {
				want.WriteString(p.Text)
			}
		}

		r := &renderer{env: prodEnv(), w: simple("prod", "w"), known: map[Output]bool{o: true, secret: true}}
		env := r.variables(Container{Variables: []Variable{{"V", parts}}})
		vars := map[string]string{}
		for _, e := range env {
			switch {
			case e.ValueFrom == nil:
				vars[e.Name] = expand(e.Value, vars)
			case e.ValueFrom.SecretKeyRef != nil:
				vars[e.Name] = values[e.ValueFrom.SecretKeyRef.Key]
			default:
				vars[e.Name] = values[e.ValueFrom.ConfigMapKeyRef.Key]
			}
		}
		if vars["V"] != want.String() {
			t.Fatalf("variable: %q, want %q from %v", vars["V"], want.String(), env)
		}

		got, err := Template{Parts: parts}.Expand(values)
		if err != nil || got != want.String() {
			t.Fatalf("file: %q (%v), want %q", got, err, want.String())
		}
		tmpl, err := Template{Parts: parts, GoTemplate: true}.Expand(map[string]string{o.Key(): values[o.Key()]})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := template.New("").Parse(tmpl)
		if err != nil {
			t.Fatalf("%q: %v", tmpl, err)
		}
		var b bytes.Buffer
		if err := parsed.Execute(&b, values); err != nil || b.String() != want.String() {
			t.Fatalf("template %q: %q (%v), want %q", tmpl, b.String(), err, want.String())
		}
	})
}

// anyWorkload draws workloads that render.
func anyWorkload() *rapid.Generator[Workload] {
	return rapid.Custom(func(t *rapid.T) Workload {
		w := ordersWorkload("prod")
		flip := func(name string) bool { return rapid.Bool().Draw(t, name) }
		free := rapid.String()
		paths := strings.NewReplacer(":", "", "..", "") // those are refused
		for i := range rapid.IntRange(0, 5).Draw(t, "files") {
			w.Containers[i%3].Files = append(w.Containers[i%3].Files, File{Path: fmt.Sprintf("/any/%d/%s", i, paths.Replace(free.Draw(t, "path"))), Content: compose(text(free.Draw(t, "content")))})
		}
		for i := range rapid.IntRange(0, 5).Draw(t, "variables") {
			w.Containers[i%3].Variables = append(w.Containers[i%3].Variables, Variable{fmt.Sprintf("ANY_%d", i), compose(text(free.Draw(t, "value")), output(dbPassword))})
		}
		w.Annotations["any"] = free.Draw(t, "annotation")
		if flip("gpu") {
			w.GPU = &GPU{Count: rapid.IntRange(0, 8).Draw(t, "count")}
		}
		if flip("volumes") {
			w.Volumes = []Volume{{Resource: "v", Size: "1Gi", AccessMode: "ReadWriteMany"}, {Resource: "e", Size: "1Gi", Ephemeral: true}}
			w.Containers[1].Mounts = []Mount{{Path: "/v", Volume: "v"}, {Path: "/tmp", Volume: "e"}}
		}
		if flip("no scaling") {
			w.Autoscaler = nil
		}
		if flip("scheduled") {
			w.Autoscaler, w.Routes, w.Schedule = nil, nil, &Schedule{Cron: "* * * * *"}
		}
		if flip("no resources") {
			w.Containers[0].Resources = model.ContainerResources{}
		}
		return w
	})
}

func TestWorkloadProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorkload().Draw(t, "workload")
		env := rapid.SampledFrom([]Env{prodEnv(), localEnv()}).Draw(t, "env")
		r, err := RenderWorkload(env, w)
		if err != nil {
			t.Fatal(err)
		}
		check(t, r)
		first, err := MarshalYAML(r.Objects)
		if err != nil {
			t.Fatal(err)
		}

		// The order in which calls, routes and needs were found says nothing.
		for _, s := range []func(){
			func() { slices.Reverse(w.Calls) }, func() { slices.Reverse(w.Callers) }, func() { slices.Reverse(w.Routes) }, func() { slices.Reverse(w.Needs) },
		} {
			s()
		}
		again, err := RenderWorkload(env, w)
		if err != nil {
			t.Fatal(err)
		}
		second, err := MarshalYAML(again.Objects)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, second) {
			t.Fatalf("not the same twice:\n%s\n%s", first, second)
		}
		for _, obj := range r.Objects {
			if obj.GetObjectKind().GroupVersionKind().Kind == "Secret" {
				t.Fatalf("a Secret was rendered: %s", obj.GetName())
			}
			if c := obj.DeepCopyObject().(Object); c == obj || c.GetName() != obj.GetName() {
				t.Fatalf("%s does not copy", obj.GetName())
			}
		}
	})
}

func TestExternalSecretCopies(t *testing.T) {
	w := ordersWorkload("prod")
	r, err := RenderWorkload(prodEnv(), w)
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range r.Objects {
		es, ok := obj.(*ExternalSecret)
		if !ok {
			continue
		}
		before, err := MarshalJSON(es)
		if err != nil {
			t.Fatal(err)
		}
		c := es.DeepCopyObject().(*ExternalSecret)
		c.Labels["x"], c.Spec.Data[0].SecretKey = "y", "changed"
		if tmpl := c.Spec.Target.Template; tmpl != nil {
			tmpl.Data["x"], tmpl.TemplateFrom[0].ConfigMap.Items[0].Key = "y", "changed"
		}
		if after, _ := MarshalJSON(es); !bytes.Equal(before, after) {
			t.Errorf("changing the copy changed the original: %s", after)
		}
	}
	if (*ExternalSecret)(nil).DeepCopyObject() != nil {
		t.Error("copy of nothing is something")
	}
}

// benchWorkload is like most workloads of a large platform.
func benchWorkload(i int) Workload {
	w := ordersWorkload("prod")
	w.Name = fmt.Sprintf("orders-%d", i)
	w.Addr = addr.Workload("prod", w.Name)
	w.Containers = w.Containers[:1]
	w.Containers[0].Files = w.Containers[0].Files[:1]
	return w
}

func BenchmarkRender(b *testing.B) {
	env, n := prodEnv(), 0
	for i := 0; b.Loop(); i++ {
		r, err := RenderWorkload(env, benchWorkload(i))
		if err != nil {
			b.Fatal(err)
		}
		n += len(r.Objects)
	}
	b.ReportAllocs()
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "objects/s")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "µs/object")
}

func BenchmarkMarshal(b *testing.B) {
	r, err := RenderWorkload(prodEnv(), benchWorkload(0))
	if err != nil {
		b.Fatal(err)
	}
	report := func(b *testing.B, n int) {
		b.ReportAllocs()
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "objects/s")
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "µs/object")
	}
	b.Run("yaml", func(b *testing.B) {
		n := 0
		for b.Loop() {
			if _, err := MarshalYAML(r.Objects); err != nil {
				b.Fatal(err)
			}
			n += len(r.Objects)
		}
		report(b, n)
	})
	b.Run("json", func(b *testing.B) {
		n := 0
		for b.Loop() {
			for _, obj := range r.Objects {
				if _, err := MarshalJSON(obj); err != nil {
					b.Fatal(err)
				}
			}
			n += len(r.Objects)
		}
		report(b, n)
	})
}
