package tofu

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/plan"
)

// TestConvert reads plans as `tofu show -json` prints them, shortened.
func TestConvert(t *testing.T) {
	files, err := filepath.Glob("testdata/convert/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			op := plan.Apply
			if strings.Contains(name, "drift") {
				op = plan.Drift
			}
			p, err := convert(ar.Files[0].Data, op)
			if err != nil {
				t.Fatal(err)
			}
			p.JSON = nil
			got, err := json.MarshalIndent(p, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			if string(got)+"\n" != string(ar.Files[1].Data) {
				t.Errorf("got:\n%s\nwant:\n%s", got, ar.Files[1].Data)
			}
		})
	}
}

// FuzzConvert reads any document: it may refuse it, and sensitive values that a plan
// marks never get into what is shown.
func FuzzConvert(f *testing.F) {
	files, _ := filepath.Glob("testdata/convert/*.txtar")
	for _, name := range files {
		if ar, err := txtar.ParseFile(name); err == nil {
			f.Add(ar.Files[0].Data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, op := range []plan.Operation{plan.Apply, plan.Drift} {
			p, err := convert(data, op)
			if err == nil && p.Idle && len(p.Changes) > 0 {
				t.Error("idle, with changes")
			}
		}
	})
}

// FuzzLog reads any log.
func FuzzLog(f *testing.F) {
	f.Add(`{"@level":"info","type":"apply_start","hook":{"resource":{"addr":"module.this.a.b"},"action":"create"}}` + "\n" + `{"type":"outputs","outputs":{"a":{"value":1},"b":{"sensitive":true,"value":"x"}}}` + "\n")
	f.Add(`{"type":"diagnostic","diagnostic":{"severity":"error","summary":"s","range":{"filename":"f","start":{"line":3}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		j := readLog(file)
		for _, a := range j.open() {
			if a == "" && len(j.started) == 0 {
				t.Error("open without a beginning")
			}
		}
		for line := range strings.Lines(text) {
			if e, ok := parse([]byte(line)); ok {
				e.event()
			}
		}
	})
}

// TestLog says what became of what an apply began.
func TestLog(t *testing.T) {
	log := `not JSON
{"type":"apply_start","hook":{"resource":{"addr":"module.this.a.done"},"action":"create"}}
{"type":"apply_complete","hook":{"resource":{"addr":"module.this.a.done"},"action":"create"}}
{"type":"apply_start","hook":{"resource":{"addr":"module.this.a.refused"},"action":"create"}}
{"type":"apply_errored","hook":{"resource":{"addr":"module.this.a.refused"},"action":"create"}}
{"type":"diagnostic","diagnostic":{"severity":"error","summary":"VpcLimitExceeded","address":"module.this.a.refused"}}
{"type":"apply_start","hook":{"resource":{"addr":"module.this.a.crashed"},"action":"create"}}
{"type":"apply_errored","hook":{"resource":{"addr":"module.this.a.crashed"},"action":"create"}}
{"type":"diagnostic","diagnostic":{"severity":"error","summary":"Plugin did not respond","address":"module.this.a.crashed"}}
{"type":"diagnostic","diagnostic":{"severity":"warning","summary":"never mind"}}
{"type":"apply_start","hook":{"resource":{"addr":"module.this.a.cut"},"action":"create"}}
`
	j := newJournal()
	for line := range strings.Lines(log) {
		if e, ok := parse([]byte(line)); ok {
			j.add(e)
		}
	}
	if got := strings.Join(j.changed(), " "); got != "a.done" {
		t.Errorf("changed %q", got)
	}
	if got := strings.Join(j.open(), " "); got != "a.crashed a.cut" {
		t.Errorf("open %q", got)
	}
	if len(j.problems) != 2 || j.ended {
		t.Errorf("%+v", j)
	}
}

// TestClassify tells causes apart by the words of OpenTofu, backends and providers.
func TestClassify(t *testing.T) {
	for text, want := range map[string]engine.Cause{
		"Saved plan is stale":                                                 engine.CauseStale,
		"Error acquiring the state lock":                                      engine.CauseLocked,
		"write: no space left on device":                                      engine.CauseDisk,
		"AWS account ID not allowed: 999":                                     engine.CauseAccount,
		"ExpiredToken: The security token included in the request is expired": engine.CauseCredentials,
		"No valid credential sources found":                                   engine.CauseCredentials,
		"VpcLimitExceeded: The maximum number of VPCs has been reached":       engine.CauseQuota,
		"ThrottlingException: Rate exceeded":                                  engine.CauseQuota,
		"EntityAlreadyExists: Role with name x already exists":                engine.CauseConflict,
		"Plugin did not respond":                                              engine.CauseProvider,
		"Error loading state: NoSuchBucket":                                   engine.CauseBackend,
		"Unsupported argument":                                                engine.CauseConfig,
		"the moon is in the wrong place":                                      engine.CauseOther,
	} {
		if got := classify([]engine.Problem{{Summary: text}}, ""); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
		if next[want] == "" {
			t.Errorf("nothing is said of what to do about %s", want)
		}
	}
}

// TestEnviron passes on what processes need, and nothing that changes what they do.
func TestEnviron(t *testing.T) {
	caller := []string{"PATH=/bin", "HOME=/h", "TF_LOG=trace", "TF_CLI_ARGS=-x", "TF_VAR_a=1", "AWS_PROFILE=p", "GOOGLE_PROJECT=g", "EDITOR=vi", "https_proxy=x", "MY_A=1", "MY_B=2"}
	has := func(list []string, name string) bool {
		for _, kv := range list {
			if strings.HasPrefix(kv, name+"=") {
				return true
			}
		}
		return false
	}
	for name, c := range map[string]struct {
		offline  bool
		also     []string
		has, not []string
	}{
		"online":  {false, nil, []string{"PATH", "HOME", "AWS_PROFILE", "GOOGLE_PROJECT", "https_proxy", "TF_INPUT"}, []string{"TF_LOG", "TF_CLI_ARGS", "TF_VAR_a", "EDITOR", "MY_A"}},
		"offline": {true, nil, []string{"PATH", "HOME"}, []string{"AWS_PROFILE", "GOOGLE_PROJECT", "TF_LOG"}},
		"asked":   {true, []string{"TF_LOG", "MY_*"}, []string{"TF_LOG", "MY_A", "MY_B"}, []string{"TF_CLI_ARGS", "EDITOR"}},
	} {
		got := Environ(caller, c.offline, c.also)
		for _, n := range c.has {
			if !has(got, n) {
				t.Errorf("%s lacks %s", name, n)
			}
		}
		for _, n := range c.not {
			if has(got, n) {
				t.Errorf("%s has %s", name, n)
			}
		}
	}
}
