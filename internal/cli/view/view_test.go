package view_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/term"
)

var (
	update  = flag.Bool("update", false, "write what was shown into testdata")
	picture = flag.String("picture", "", "write the picture of a realistic graph to this file")
)

// units is a graph as text: a line for each unit with its name, layer, contract
// ("-" for objects) and what it depends on.
func units(t testing.TB, text string) *graph.Graph {
	t.Helper()
	var out []graph.Unit
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		u := graph.Unit{Addr: addr.Unit{Env: "prod", Name: f[0]}, Layer: model.Layer(f[1]), Kind: graph.Tofu, Contract: f[2], Digest: "d-" + f[0]}
		if f[2] == "-" {
			u.Kind, u.Contract = graph.Kube, ""
		}
		for _, d := range f[3:] {
			if d == "(existing)" {
				u.Existing = true
				continue
			}
			u.DependsOn = append(u.DependsOn, addr.Unit{Env: "prod", Name: d})
		}
		out = append(out, u)
	}
	g, err := graph.New("prod", out)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

const small = `
account provisioning account (existing)
network networking network account
cluster runtime cluster account network
platform/secrets security secrets account cluster
teams/web runtime - cluster
shared/postgres/default/main provisioning postgres account network platform/secrets
workloads/shop runtime - cluster teams/web shared/postgres/default/main
`

// acme is about as large and as connected as a real environment.
func acme() string {
	var b strings.Builder
	b.WriteString(`
account provisioning account
state provisioning state account
network networking network account
registry security registry account
dns networking dns account network
cluster runtime cluster account network registry
platform/identity security - cluster
platform/secrets security secrets account cluster
platform/policy security - cluster
platform/gateway networking - cluster dns platform/secrets
platform/mesh networking - cluster
platform/autoscaling runtime - cluster
platform/logs observability - cluster
platform/metrics observability - cluster
platform/traces observability - cluster
platform/dashboards observability - cluster platform/metrics platform/logs platform/traces platform/identity
shared/kafka/default/events provisioning kafka (existing) account network
`)
	for _, team := range []string{"storefront", "payments", "insights"} {
		fmt.Fprintf(&b, "teams/%s runtime - cluster platform/policy platform/mesh\n", team)
	}
	workloads := []struct{ name, team, resources string }{
		{"web", "storefront", "redis s3"}, {"catalog", "storefront", "postgres redis"}, {"cart", "storefront", "redis"},
		{"search", "storefront", "postgres"}, {"payments", "payments", "postgres amqp"}, {"ledger", "payments", "postgres"},
		{"invoices", "payments", "postgres s3"}, {"worker", "payments", "amqp"}, {"report", "insights", "s3 postgres"},
		{"recommender", "insights", "s3 redis"}, {"admin", "insights", "postgres"}, {"events", "insights", ""},
	}
	for _, w := range workloads {
		needs := ""
		for r := range strings.FieldsSeq(w.resources) {
			fmt.Fprintf(&b, "workloads/%s/%s provisioning %s account network cluster platform/secrets\n", w.name, r, r)
			needs += fmt.Sprintf(" workloads/%s/%s", w.name, r)
		}
		if w.name == "events" || w.name == "report" {
			needs += " shared/kafka/default/events"
		}
		if w.name == "web" || w.name == "admin" {
			needs += " platform/gateway"
		}
		fmt.Fprintf(&b, "workloads/%s runtime - cluster teams/%s platform/autoscaling%s\n", w.name, w.team, needs)
	}
	return b.String()
}

func show(name string, w io.Writer, g *graph.Graph) error {
	switch name {
	case "json":
		return view.GraphJSON(w, g)
	case "dot":
		return view.GraphDot(w, g)
	case "svg":
		return view.GraphSVG(w, g)
	case "tree-50":
		return view.GraphTree(w, g, view.TreeOptions{Width: 50})
	}
	return view.GraphTree(w, g, view.TreeOptions{})
}

func TestGolden(t *testing.T) {
	const file = "testdata/graph.txtar"
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range ar.Files {
		g := units(t, small)
		name, big := strings.CutPrefix(f.Name, "acme-")
		if big {
			g = units(t, acme())
		}
		var b bytes.Buffer
		if err := show(name, &b, g); err != nil {
			t.Fatal(err)
		}
		if *update {
			ar.Files[i].Data = b.Bytes()
		} else if !bytes.Equal(b.Bytes(), f.Data) {
			t.Errorf("%s differs (run with -update to accept)\ngot:\n%s\nwant:\n%s", f.Name, b.Bytes(), f.Data)
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(ar), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDeterministic shows one graph from units in many orders.
func TestDeterministic(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(acme()), "\n")
	want := map[string]string{}
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 0))
		r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		g := units(t, strings.Join(lines, "\n"))
		for _, name := range []string{"json", "dot", "svg", "tree"} {
			var b bytes.Buffer
			if err := show(name, &b, g); err != nil {
				t.Fatal(err)
			}
			if want[name] == "" {
				want[name] = b.String()
			} else if want[name] != b.String() {
				t.Errorf("%s depends on the order of the units", name)
			}
		}
	}
}

// TestSVG wants well-formed XML with each unit once and no box upon another.
func TestSVG(t *testing.T) {
	g := units(t, acme())
	var b bytes.Buffer
	if err := view.GraphSVG(&b, g); err != nil {
		t.Fatal(err)
	}
	if *picture != "" {
		if err := os.WriteFile(*picture, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	type rect struct{ x, y, w, h float64 }
	var boxes []rect
	d := xml.NewDecoder(&b)
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		el, ok := tok.(xml.StartElement)
		if !ok || el.Name.Local != "rect" {
			continue
		}
		at := map[string]string{}
		for _, a := range el.Attr {
			at[a.Name.Local] = a.Value
		}
		if at["rx"] != "6" {
			continue
		}
		var r rect
		if _, err := fmt.Sscan(at["x"]+" "+at["y"]+" "+at["width"]+" "+at["height"], &r.x, &r.y, &r.w, &r.h); err != nil {
			t.Fatal(err)
		}
		for _, o := range boxes {
			if r.x < o.x+o.w && o.x < r.x+r.w && r.y < o.y+o.h && o.y < r.y+r.h {
				t.Errorf("boxes %v and %v overlap", r, o)
			}
		}
		boxes = append(boxes, r)
	}
	if len(boxes) != len(g.Units) {
		t.Errorf("%d boxes for %d units", len(boxes), len(g.Units))
	}
}

func large(t testing.TB, n int) *graph.Graph {
	var b strings.Builder
	b.WriteString("network networking network\n")
	for i := range n {
		fmt.Fprintf(&b, "workloads/w%d runtime - workloads/w%d/db\nworkloads/w%d/db provisioning postgres network\n", i, i, i)
	}
	return units(t, b.String())
}

func TestLarge(t *testing.T) {
	g := large(t, 2000)
	var b bytes.Buffer
	if err := view.GraphTree(&b, g, view.TreeOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\n"); n > 20 || !strings.Contains(b.String(), "workloads/*/*  tofu postgres  2,000 units") {
		t.Errorf("%d lines:\n%s", n, b.String())
	}
	b.Reset()
	if err := view.GraphTree(&b, g, view.TreeOptions{Full: true}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\n"); n < 4000 {
		t.Errorf("%d lines", n)
	}
	if err := view.GraphSVG(&b, g); !errors.Is(err, view.ErrTooLarge) {
		t.Errorf("svg of 4001 units: %v", err)
	}
	// As large as a picture may be, within reason.
	if err := view.GraphSVG(&b, large(t, 499)); err != nil {
		t.Error(err)
	}
}

func TestEmpty(t *testing.T) {
	g, err := graph.New("dev", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"json", "dot", "svg", "tree"} {
		var b bytes.Buffer
		if err := show(name, &b, g); err != nil || b.Len() == 0 {
			t.Errorf("%s: %d bytes, %v", name, b.Len(), err)
		}
		if name == "json" && !json.Valid(b.Bytes()) {
			t.Errorf("json: %s", b.String())
		}
	}
}

func TestTreeWidth(t *testing.T) {
	var b bytes.Buffer
	if err := view.GraphTree(&b, units(t, acme()), view.TreeOptions{Width: 100}); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := term.Width(strings.TrimSuffix(line, "\n")); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}
