package stack

import (
	"encoding/json"
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// LocalState returns the file in which the root keeps its state, as the root names it; a
// relative name is relative to the root's folder. It is empty where the state is kept
// elsewhere than in a file of this machine. The error says what cannot be read.
func LocalState(root []byte) (string, error) {
	var doc struct {
		Terraform struct {
			Backend struct {
				Local *struct {
					Path string `json:"path"`
				} `json:"local"`
			} `json:"backend"`
		} `json:"terraform"`
	}
	if err := json.Unmarshal(root, &doc); err != nil {
		return "", fmt.Errorf("read the root: %w", err)
	}
	l := doc.Terraform.Backend.Local
	if l == nil {
		return "", nil
	}
	// The name is a template like every other string of a root.
	e, diags := hclsyntax.ParseTemplate([]byte(l.Path), FileName, hcl.InitialPos)
	if diags.HasErrors() {
		return "", fmt.Errorf("read the path of the state: %w", diags)
	}
	v, diags := e.Value(nil)
	if diags.HasErrors() {
		return "", fmt.Errorf("read the path of the state: %w", diags)
	}
	if v.IsNull() || v.Type() != cty.String {
		return "", fmt.Errorf("read the path of the state: it is no string: %s", l.Path)
	}
	return v.AsString(), nil
}

// WithLocalState returns a root like root whose state is in file instead. The error says
// what cannot be read.
func WithLocalState(root []byte, file string) ([]byte, error) {
	var doc map[string]map[string]any
	if err := json.Unmarshal(root, &doc); err != nil {
		return nil, fmt.Errorf("read the root: %w", err)
	}
	doc["terraform"]["backend"] = map[string]any{"local": map[string]any{"path": escape(file)}}
	return json.Marshal(doc)
}
