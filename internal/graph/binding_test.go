package graph_test

import (
	"errors"
	"testing"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/graph"
)

// TestUndeclaredTemplate wants the outputs in a binding's template declared too.
func TestUndeclaredTemplate(t *testing.T) {
	u := unit("a")
	u.Bindings = []graph.Binding{{Template: []graph.TemplatePart{
		{Text: "x"}, {Ref: &graph.Ref{Unit: addr.Foundation("dev", "b")}},
	}}}
	var undeclared *graph.UndeclaredError
	if _, err := graph.New("dev", []graph.Unit{u, unit("b")}); !errors.As(err, &undeclared) || undeclared.Refers.Name != "b" {
		t.Errorf("got %v", err)
	}
	u.DependsOn = []addr.Unit{{Env: "dev", Name: "b"}}
	if _, err := graph.New("dev", []graph.Unit{u, unit("b")}); err != nil {
		t.Error(err)
	}
}
