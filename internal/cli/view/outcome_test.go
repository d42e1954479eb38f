package view_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/store"
)

// outcomes are how runs end.
func outcomes(name string) *engine.Outcome {
	start := time.Date(2026, 7, 3, 10, 15, 0, 0, time.UTC)
	network, db := addr.Unit{Env: "dev", Name: "network"}, addr.Unit{Env: "dev", Name: "workloads/ledger/db"}
	o := &engine.Outcome{
		Run:     store.Run{ID: "20260703T101500Z-0a1b2c3d", Environment: "dev", Operation: "apply", Started: start, Ended: start.Add(95 * time.Second), Status: store.Succeeded},
		Applied: []addr.Unit{network, db}, Unchanged: []addr.Unit{{Env: "dev", Name: "account"}},
		Changed: map[addr.Unit][]string{network: {"aws_vpc.this", "aws_subnet.data[0]"}, db: {"aws_db_instance.this"}},
		Outputs: map[addr.Unit]map[string]json.RawMessage{
			network: {"vpc_id": json.RawMessage(`"vpc-0123"`), "zones": json.RawMessage(`["a","b"]`)},
			db:      {"host": json.RawMessage(`"` + strings.Repeat("long.", 30) + `example"`)},
		},
	}
	switch {
	case strings.HasPrefix(name, "destroyed"):
		o.Run.Operation, o.Outputs, o.Unchanged = "destroy", nil, nil
	case strings.HasPrefix(name, "failed"):
		o.Run.Status, o.Applied = store.Failed, o.Applied[:1]
		o.Skipped = []addr.Unit{{Env: "dev", Name: "workloads/ledger"}}
		o.Failures = []*engine.Failure{{
			Unit: db, Stage: "apply", Cause: engine.CauseQuota,
			Problems: []engine.Problem{{Summary: "creating RDS DB Instance: InstanceQuotaExceeded", Detail: "You have reached the maximum number of instances.", Resource: "aws_db_instance.this", File: "modules/db/main.tf", Line: 12}},
			Changed:  []string{"aws_db_subnet_group.this", "aws_security_group.this"}, Open: []string{"aws_db_instance.this"},
			Next: "Have the quota raised or wait, then run the same command again: it goes on where it stopped.",
		}}
	case strings.HasPrefix(name, "paused"):
		o.Run.Status, o.Applied = store.Paused, o.Applied[:1]
		o.Paused = []*engine.PausedError{{Unit: db, Run: o.Run.ID, Reasons: []string{"replace aws_db_instance.this (engine cannot be changed in place), where update was approved"}}}
	}
	return o
}

// TestOutcomeGolden holds the pages of testdata/outcome.txtar, each named by how the
// run ended.
func TestOutcomeGolden(t *testing.T) {
	file := filepath.Join("testdata", "outcome.txtar")
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range ar.Files {
		var b bytes.Buffer
		if strings.HasSuffix(f.Name, "json") {
			err = view.OutcomeJSON(&b, outcomes(f.Name))
		} else {
			err = view.Outcome(&b, outcomes(f.Name), view.RunOptions{Width: 80, Next: "strata apply dev.plan", Outputs: "strata output dev"})
		}
		if err != nil {
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

// TestProgress writes plain lines where there is no terminal, and redraws where there
// is one.
func TestProgress(t *testing.T) {
	at := time.Date(2026, 7, 3, 10, 15, 0, 0, time.UTC)
	unit := addr.Unit{Env: "dev", Name: "network"}
	events := []engine.Event{
		{Type: engine.UnitStarted, Unit: unit, At: at},
		{Type: engine.ResourceStarted, Unit: unit, At: at, Resource: "aws_vpc.this", Action: "create"},
		{Type: engine.ResourceFinished, Unit: unit, At: at, Resource: "aws_vpc.this"},
		{Type: engine.Note, Unit: unit, At: at, Text: "a \x1b[31mhostile note"},
		{Type: engine.UnitFinished, Unit: unit, At: at, Elapsed: 3 * time.Second},
		{Type: engine.UnitFailed, Unit: addr.Unit{Env: "dev", Name: "dns"}, At: at, Elapsed: 61 * time.Second},
	}
	var plain, live bytes.Buffer
	p, l := view.NewProgress(&plain, view.ProgressOptions{Width: 80, Total: 2}), view.NewProgress(&live, view.ProgressOptions{Width: 80, Total: 2, Live: true})
	for _, e := range events {
		p.Event(e)
		l.Event(e)
		p.Draw(at)
		l.Draw(at.Add(time.Second))
	}
	p.Close()
	l.Close()
	const want = "  network ...\n· network: a ␛[31mhostile note\n✓ network  1 resource  3.0 s\n✗ dns  1m1s\n"
	if plain.String() != want {
		t.Errorf("plain:\n%q\nwant\n%q", plain.String(), want)
	}
	for _, says := range []string{"network 1.0 s  create aws_vpc.this", "0 of 2 units", "1 of 2 units, 1 failed"} {
		if !strings.Contains(live.String(), says) {
			t.Errorf("live does not say %q:\n%q", says, live.String())
		}
	}
	if strings.Contains(live.String(), "\x1b[31mhostile") {
		t.Error("a note steers the terminal")
	}
}
