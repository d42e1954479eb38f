package view_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/status"
	"github.com/stratahq/strata/internal/term"
)

// noon is the moment at which everything is looked at.
var noon = time.Date(2026, 7, 3, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

func statusUnit(name string, layer model.Layer, contract string, st status.State) status.Unit {
	u := status.Unit{Addr: addr.Unit{Env: "local", Name: name}, Layer: layer, Kind: graph.Tofu, Contract: contract, State: st, Applied: ago(3 * time.Hour)}
	if contract == "" {
		u.Kind = graph.Kube
	}
	if st == status.NotApplied {
		u.Applied = time.Time{}
	}
	return u
}

func runs(u status.Unit, ready, wanted int, since time.Duration) status.Unit {
	u.Pods, u.Wanted, u.Since = ready, wanted, ago(since)
	return u
}

// working is an environment of which most works.
func working() *status.Environment {
	checkout := runs(statusUnit("workloads/checkout", model.LayerRuntime, "", status.NotReady), 1, 2, 12*time.Minute)
	checkout.Restarts, checkout.Restarted, checkout.Changed = 5, ago(90*time.Second), true
	checkout.Why = []string{
		"pod checkout-7d9f5c6b8-x2x4q: container main ends again and again: exit code 1, 5 restarts",
		"  main: {\"level\":\"error\",\"msg\":\"connect to orders: dial tcp: lookup orders.strata-data.svc.cluster.local: no such host\"}",
		"  main: panic: \x1b[31mgiving up",
	}
	checkout.Objects = []status.Object{
		{Kind: "Deployment", Namespace: "payments", Name: "checkout", Created: ago(3 * time.Hour), Reason: "Available: 1/2"},
		{Kind: "Pod", Namespace: "payments", Name: "checkout-7d9f5c6b8-x2x4q", Created: ago(12 * time.Minute), Reason: "container main ends again and again", Pod: &status.Pod{Phase: "Running", Restarts: 5}},
		{Kind: "Service", Namespace: "payments", Name: "checkout", Created: ago(3 * time.Hour), Ready: true},
	}
	reports := statusUnit("workloads/nightly-report", model.LayerRuntime, "", status.Failed)
	reports.Schedule, reports.LastRun, reports.Since = "0 3 * * *", ago(9*time.Hour), ago(50*time.Hour)
	reports.Why = []string{"CronJob/insights/nightly-report: its last run failed: Job has reached the specified backoff limit"}
	catalog := runs(statusUnit("workloads/catalog", model.LayerRuntime, "", status.Ready), 2, 2, 3*time.Hour)
	catalog.Changed = true
	store := runs(statusUnit("workloads/storefront", model.LayerRuntime, "", status.Ready), 1, 1, 49*time.Hour)
	store.Restarts, store.Restarted = 1, ago(26*time.Hour)
	gone := statusUnit("workloads/legacy", model.LayerRuntime, "", status.Left)
	gateway := statusUnit("platform/gateway", model.LayerNetworking, "", status.Partial)
	return &status.Environment{
		Name: "local", Platform: "acme", Cloud: model.CloudLocal,
		Cluster: status.Cluster{Access: status.Running, Node: "acme-local", Since: ago(3 * time.Hour), Version: "v1.37.2", Server: "https://127.0.0.1:6443", HTTP: 8080},
		Units: []status.Unit{
			statusUnit("account", model.LayerProvisioning, "account", status.Existing), statusUnit("cluster", model.LayerRuntime, "cluster", status.Ready), gateway,
			statusUnit("platform/secrets", model.LayerSecurity, "secrets", status.Ready),
			runs(statusUnit("shared/amqp/default/orders", model.LayerProvisioning, "amqp", status.Ready), 1, 1, 3*time.Hour),
			statusUnit("teams/payments", model.LayerSecurity, "", status.Ready), catalog,
			runs(statusUnit("workloads/catalog/db", model.LayerProvisioning, "postgres", status.Ready), 1, 1, 3*time.Hour), checkout, gone, reports,
			statusUnit("workloads/recommender-with-a-name-that-is-long", model.LayerRuntime, "", status.NotApplied), store,
		},
		Routes: []status.Route{
			{URL: "http://pay.acme.localhost:8080/webhooks", Unit: checkout.Addr},
			{URL: "http://shop.acme.localhost:8080/", Unit: store.Addr, Ready: true},
		},
	}
}

// environmentShown is what a page shows.
func environmentShown(name string) *status.Environment {
	e := working()
	switch name {
	case "ready":
		e.Units = e.Units[:2]
		e.Routes = e.Routes[1:]
	case "stopped":
		e.Cluster = status.Cluster{Access: status.Stopped, Node: "acme-local", HTTP: 8080}
		e.Units, e.Routes = e.Units[5:9], nil
		for i := range e.Units {
			e.Units[i] = statusUnit(e.Units[i].Addr.Name, e.Units[i].Layer, e.Units[i].Contract, status.Unknown)
		}
	case "absent":
		e.Cluster = status.Cluster{Access: status.Absent}
		e.Units, e.Routes = []status.Unit{statusUnit("cluster", model.LayerRuntime, "cluster", status.NotApplied)}, nil
	case "unreachable":
		e.Cloud, e.Name = "aws", "prod"
		e.Cluster = status.Cluster{Access: status.Unreachable, Problem: "the cluster of prod gives no kubeconfig: name one in its file (cluster.existing.kubeconfig)"}
		e.Units, e.Routes = []status.Unit{statusUnit("network", model.LayerNetworking, "network", status.Ready), statusUnit("workloads/catalog", model.LayerRuntime, "", status.Unknown)}, nil
	case "large":
		e.Units = []status.Unit{e.Units[8]}
		for i := range 400 {
			u := runs(statusUnit(fmt.Sprintf("workloads/w%03d", i), model.LayerRuntime, "", status.Ready), 1, 1, time.Hour)
			u.Changed = i%100 == 0
			e.Units = append(e.Units, u, statusUnit(fmt.Sprintf("workloads/w%03d/db", i), model.LayerProvisioning, "postgres", status.Ready))
		}
	}
	return e
}

func topShown(components bool) *view.Top {
	t := &view.Top{Environment: "local", Components: components}
	row := func(name string, pods int, cpu, memory, cpuRequest, memoryRequest, cpuLimit, memoryLimit int64) {
		r := view.TopRow{Name: name, Pods: pods}
		r.Add(cluster.Usage{CPU: cpu, Memory: memory << 20}, memory > 0, cluster.Usage{CPU: cpuRequest, Memory: memoryRequest << 20}, cluster.Usage{CPU: cpuLimit, Memory: memoryLimit << 20})
		r.OfPod = components && strings.HasPrefix(name, "pod ")
		t.Rows = append(t.Rows, r)
	}
	if components {
		row("kubelet", 1, 8, 31, 0, 0, 0, 0)
		row("pod workloads/catalog", 4, 1500, 11<<10, 0, 0, 0, 0)
		row("kube-apiserver", 1, 16, 243, 0, 0, 0, 0)
		return t
	}
	row("workloads/catalog", 2, 120, 60, 100, 64, 400, 128)
	row("workloads/checkout", 1, 260, 125, 100, 64, 1000, 128)
	row("workloads/checkout/db", 1, 4, 90, 10, 64, 0, 256)
	row("workloads/starting", 1, 0, 0, 10, 64, 100, 64)
	return t
}

func secretsShown(elsewhere bool) *view.Secrets {
	s := &view.Secrets{Environment: "local", Elsewhere: elsewhere}
	row := func(key string, st view.SecretState, old time.Duration, users ...string) {
		r := view.Secret{Key: key, Path: "acme/local/" + key, State: st, UsedBy: users}
		if old > 0 {
			r.Changed = ago(old)
		}
		s.Rows = append(s.Rows, r)
	}
	if elsewhere {
		row("payments/provider-token", view.SecretElsewhere, 0, "checkout")
		return s
	}
	row("workloads/catalog/db/password", view.SecretOfUnit, 3*time.Hour)
	row("insights/smtp-password", view.SecretGiven, 50*time.Hour, "nightly-report")
	row("old/token", view.SecretGiven, time.Minute)
	row("payments/session", view.SecretMissing, 0, "backoffice", "checkout", "a-workload-with-a-long-name", "another-workload")
	row("payments/provider-token", view.SecretMadeUp, 3*time.Hour, "checkout")
	return s
}

func logsShown(b *bytes.Buffer, opt view.LogsOptions, pods int) error {
	l := view.NewLogs(b, opt)
	spec := corev1.PodSpec{InitContainers: []corev1.Container{{Name: "migrate"}}, Containers: []corev1.Container{{Name: "main"}}}
	for i := range pods {
		l.Expect([]*corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("checkout-%d", i)}, Spec: spec}}, map[bool]string{true: "main"}[pods == 1])
	}
	for i, text := range []string{"listening on :8080", `{"level":"info","msg":"paid <b>"}`, "{not JSON", "\x1b]0;title\x07\tand a tab"} {
		l.Line(cluster.LogLine{At: noon.Add(time.Duration(i) * time.Millisecond), Namespace: "payments", Pod: fmt.Sprintf("checkout-%d", i%pods), Container: "main", Text: text})
	}
	return l.Err()
}

// inspectPage writes the page of a name: what, how wide, and json where it is that.
func inspectPage(name string, color bool) ([]byte, error) {
	what, rest, _ := strings.Cut(name, " ")
	kind, size, _ := strings.Cut(rest, " ")
	width := 80
	_, _ = fmt.Sscan(size, &width)
	var b bytes.Buffer
	var err error
	switch asJSON := size == "json"; what {
	case "status":
		e := environmentShown(strings.TrimSuffix(kind, "-all"))
		if asJSON {
			err = view.StatusJSON(&b, e)
			break
		}
		err = view.Status(&b, e, view.StatusOptions{Color: color, Width: width, Now: noon, Program: "strata", All: strings.HasSuffix(kind, "-all")})
	case "top":
		t := topShown(kind == "components")
		t.Sort("memory")
		if asJSON {
			err = t.JSON(&b)
		} else {
			err = t.Human(&b, view.TopOptions{Color: color, Width: width})
		}
	case "secrets":
		s := secretsShown(kind == "elsewhere")
		s.Sort()
		if asJSON {
			err = s.JSON(&b)
		} else {
			err = s.Human(&b, view.SecretsOptions{Color: color, Width: width, Now: noon, Program: "strata"})
		}
	case "logs":
		err = logsShown(&b, view.LogsOptions{JSON: asJSON, Color: color, Clean: true, Unit: addr.Workload("local", "checkout")}, len(kind)-len("pod")+1)
	}
	return b.Bytes(), err
}

// TestInspectGolden holds the pages of testdata/inspect.txtar: how environments are, what
// they use, their secrets and their logs.
func TestInspectGolden(t *testing.T) {
	file := filepath.Join("testdata", "inspect.txtar")
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range ar.Files {
		got, err := inspectPage(f.Name, false)
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			ar.Files[i].Data = got
		} else if !bytes.Equal(got, f.Data) {
			t.Errorf("%s differs (run with -update to accept)\ngot:\n%s\nwant:\n%s", f.Name, got, f.Data)
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(ar), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// escapes are the escape sequences that painting makes.
var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

// padding is the space at the ends of lines, which is not seen.
var padding = regexp.MustCompile(" +\n")

// TestInspectFits wants no line to be wider than the terminal and colours to change
// nothing but colours. Names and URLs are never cut for it.
func TestInspectFits(t *testing.T) {
	ar, err := txtar.ParseFile(filepath.Join("testdata", "inspect.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range ar.Files {
		if strings.HasSuffix(f.Name, "json") {
			continue
		}
		width := 80
		_, _ = fmt.Sscan(f.Name[strings.LastIndexByte(f.Name, ' ')+1:], &width)
		for line := range strings.Lines(string(f.Data)) {
			if n := term.Width(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("%s: %d columns: %s", f.Name, n, line)
			}
		}
		painted, err := inspectPage(f.Name, true)
		if err != nil {
			t.Fatal(err)
		}
		if got := padding.ReplaceAllString(escapes.ReplaceAllString(string(painted), ""), "\n"); got != string(f.Data) {
			t.Errorf("%s is another page with colours:\n%s", f.Name, got)
		}
		if strings.Contains(string(painted), "\x1b[31m") || strings.Contains(string(painted), "\x1b]") {
			t.Errorf("%s lets what it shows steer the terminal", f.Name)
		}
	}
}
