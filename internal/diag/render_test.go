package diag_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"github.com/stratahq/strata/internal/diag"
)

var update = flag.Bool("update", false, "write what was rendered into testdata")

// input is a diagnostic as the golden files write it.
type input struct {
	Severity string     `json:"severity"`
	Rule     string     `json:"rule"`
	Summary  string     `json:"summary"`
	Detail   string     `json:"detail"`
	Remedy   string     `json:"remedy"`
	File     string     `json:"file"`
	Path     []any      `json:"path"`
	Range    diag.Range `json:"range"`
}

func readInput(t *testing.T, b []byte) diag.List {
	t.Helper()
	var ins []input
	if err := json.Unmarshal(b, &ins); err != nil {
		t.Fatal(err)
	}
	var l diag.List
	for _, in := range ins {
		d := diag.Diagnostic{Severity: diag.Error, Rule: in.Rule, Summary: in.Summary, Detail: in.Detail, Remedy: in.Remedy, File: in.File, Range: in.Range}
		if in.Severity == "warning" {
			d.Severity = diag.Warning
		}
		for _, e := range in.Path {
			if n, ok := e.(float64); ok {
				e = int(n)
			}
			d.Path = append(d.Path, e)
		}
		l.Add(d)
	}
	return l
}

// TestGolden renders each archive's diagnostics.json, whose sources are the
// archive's files below src/, and compares with its other files.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var l diag.List
			src := map[string][]byte{}
			for _, f := range ar.Files {
				if name, ok := strings.CutPrefix(f.Name, "src/"); ok {
					src[name] = f.Data
				}
				if f.Name == "diagnostics.json" {
					l = readInput(t, f.Data)
				}
			}
			read := func(name string) []byte { return src[name] }
			render := map[string]func(*bytes.Buffer) error{
				"human-80":  func(b *bytes.Buffer) error { return diag.Human(b, l, read, diag.HumanOptions{Width: 80}) },
				"human-160": func(b *bytes.Buffer) error { return diag.Human(b, l, read, diag.HumanOptions{Width: 160}) },
				"json":      func(b *bytes.Buffer) error { return diag.JSON(b, l) },
				"sarif":     func(b *bytes.Buffer) error { return diag.SARIF(b, l, "1.2.3", testRules) },
			}
			changed := false
			for i, f := range ar.Files {
				r := render[f.Name]
				if r == nil {
					continue
				}
				var b bytes.Buffer
				if err := r(&b); err != nil {
					t.Fatal(err)
				}
				if bytes.Equal(b.Bytes(), f.Data) {
					continue
				}
				if *update {
					ar.Files[i].Data, changed = b.Bytes(), true
					continue
				}
				t.Errorf("%s differs (run with -update to accept)\ngot:\n%s\nwant:\n%s", f.Name, b.Bytes(), f.Data)
			}
			if changed {
				if err := os.WriteFile(file, txtar.Format(ar), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

var testRules = []diag.RuleInfo{
	{ID: "unknown-field", Summary: "Every field is one that its kind has", Help: "See strata explain.", Severity: diag.Error},
	{ID: "never-broken", Summary: "A rule that nothing breaks", Severity: diag.Warning},
}

// TestSARIFStructure checks what the SARIF standard asks of the properties in use.
func TestSARIFStructure(t *testing.T) {
	var l diag.List
	l.Errorf("unknown-field", "a dir/ä:b%.yaml", diag.P("spec", 0), "same")
	l[0].Range = diag.Range{Start: diag.Pos{Line: 3, Column: 4}}
	second := l[0]
	second.Range.Start.Line = 9
	l.Add(second, diag.Diagnostic{Severity: diag.Warning, Rule: "unlisted", Summary: "no file"})
	l.Warnf("unlisted", "b:c.yaml", nil, "no place")
	var b bytes.Buffer
	if err := diag.SARIF(&b, l, "1.0.0", testRules); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Schema  string `json:"$schema"`
		Version string
		Runs    []struct {
			ColumnKind string
			Tool       struct {
				Driver struct {
					Name, Version string
					Rules         []struct {
						ID               string
						ShortDescription struct{ Text string }
					}
				}
			}
			OriginalURIBaseIDs map[string]any `json:"originalUriBaseIds"`
			Results            []struct {
				RuleID, Level string
				RuleIndex     int
				Message       struct{ Text string }
				Locations     []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI, URIBaseID string }
						Region           *struct{ StartLine, StartColumn, EndLine, EndColumn int }
					}
				}
				PartialFingerprints map[string]string
			}
		}
	}
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Version != "2.1.0" || len(doc.Runs) != 1 {
		t.Fatalf("version %q, %d runs", doc.Version, len(doc.Runs))
	}
	run := doc.Runs[0]
	if run.ColumnKind != "unicodeCodePoints" || run.Tool.Driver.Name != "strata" || run.Tool.Driver.Version != "1.0.0" {
		t.Errorf("run is %+v", run)
	}
	if len(run.Tool.Driver.Rules) != 3 {
		t.Errorf("%d rules, want the two described and the unlisted one", len(run.Tool.Driver.Rules))
	}
	prints := map[string]bool{}
	for i, r := range run.Results {
		if run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("result %d: ruleIndex %d is not %s", i, r.RuleIndex, r.RuleID)
		}
		if r.Level != "error" && r.Level != "warning" || r.Message.Text == "" {
			t.Errorf("result %d: level %q, message %q", i, r.Level, r.Message.Text)
		}
		if len(r.PartialFingerprints) != 1 {
			t.Errorf("result %d has no fingerprint", i)
		}
		for _, p := range r.PartialFingerprints {
			if prints[p] {
				t.Errorf("result %d: fingerprint %s occurs twice", i, p)
			}
			prints[p] = true
		}
		for _, loc := range r.Locations {
			a := loc.PhysicalLocation.ArtifactLocation
			u, err := url.Parse(a.URI)
			if err != nil || u.IsAbs() || u.Path == "" {
				t.Errorf("uri %q is not a relative reference: %v", a.URI, err)
			}
			if _, ok := run.OriginalURIBaseIDs[a.URIBaseID]; !ok {
				t.Errorf("uriBaseId %q is not declared", a.URIBaseID)
			}
			if g := loc.PhysicalLocation.Region; g != nil && (g.StartLine < 1 || g.StartColumn < 1 || g.EndLine < g.StartLine || g.EndColumn <= g.StartColumn) {
				t.Errorf("region %+v", *g)
			}
		}
	}
}

// TestHumanNeutral renders hostile sources and texts: nothing that steers a
// terminal comes out, no line is too wide, and the caret is on the line after the
// one it is about.
func TestHumanNeutral(t *testing.T) {
	bad := rapid.StringOf(rapid.OneOf(
		rapid.RuneFrom([]rune("ab {}:\t\x1b\x00\r\u009b\u202e\u200b\u2066世e\u0301\n\ufffd")), rapid.Rune()))
	rapid.Check(t, func(t *rapid.T) {
		source := bad.Draw(t, "source")
		d := diag.Diagnostic{
			Severity: diag.Error, Rule: "r", Summary: bad.Draw(t, "summary"), Detail: bad.Draw(t, "detail"),
			Remedy: bad.Draw(t, "remedy"), File: "f" + bad.Draw(t, "file"), Path: diag.P(bad.Draw(t, "key")),
			Range: diag.Range{
				Start: diag.Pos{Line: rapid.IntRange(0, 5).Draw(t, "line"), Column: rapid.IntRange(0, 300).Draw(t, "column")},
				End:   diag.Pos{Line: rapid.IntRange(0, 5).Draw(t, "endline"), Column: rapid.IntRange(0, 300).Draw(t, "endcolumn")},
			},
		}
		var b bytes.Buffer
		err := diag.Human(&b, diag.List{d}, func(string) []byte { return []byte(source) }, diag.HumanOptions{Width: rapid.IntRange(0, 200).Draw(t, "width")})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range b.String() {
			if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Fatalf("%U in %q", r, b.String())
			}
		}
	})
}

func TestHumanColor(t *testing.T) {
	var l diag.List
	l.Warnf("r", "f.yaml", nil, "careful")
	l[0].Range.Start = diag.Pos{Line: 1, Column: 1}
	l[0].Remedy = "Stop."
	src := func(string) []byte { return []byte("a: b\n") }
	var plain, colored bytes.Buffer
	if err := errors.Join(diag.Human(&plain, l, src, diag.HumanOptions{}), diag.Human(&colored, l, src, diag.HumanOptions{Color: true})); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(colored.String(), "\x1b[1;33mwarning[r]:\x1b[0m") {
		t.Errorf("no colour in %q", colored.String())
	}
	stripped := colored.String()
	for _, s := range []string{"\x1b[0m", "\x1b[1m", "\x1b[1;31m", "\x1b[1;32m", "\x1b[1;33m", "\x1b[1;34m"} {
		stripped = strings.ReplaceAll(stripped, s, "")
	}
	if stripped != plain.String() {
		t.Errorf("colour changes the text:\n%s\n%s", stripped, plain.String())
	}
}

// failing fails every write.
type failing struct{}

var errWrite = errors.New("disk full")

func (failing) Write([]byte) (int, error) { return 0, errWrite }

func TestWriteErrors(t *testing.T) {
	l := diag.List{{Severity: diag.Error, Rule: "r", Summary: "s"}}
	for name, err := range map[string]error{
		"human": diag.Human(failing{}, l, nil, diag.HumanOptions{}),
		"json":  diag.JSON(failing{}, l),
		"sarif": diag.SARIF(failing{}, l, "1", nil),
	} {
		if !errors.Is(err, errWrite) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkHuman shows many diagnostics of one large file.
func BenchmarkHuman(b *testing.B) {
	text := []byte(strings.Repeat("key: value of some length\n", 20000))
	var l diag.List
	for i := range 5000 {
		l.Errorf("r", "f.yaml", diag.P("a", i), "wrong %d", i).Range = diag.Range{Start: diag.Pos{Line: i*4 + 1, Column: 6}}
	}
	for b.Loop() {
		var out bytes.Buffer
		if err := diag.Human(&out, l, func(string) []byte { return text }, diag.HumanOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
