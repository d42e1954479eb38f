package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/stratahq/strata/internal/catalog"
	"github.com/stratahq/strata/internal/model"
)

// contractOutput begins the names of outputs that the test adds to an example.
const contractOutput = "strata_contract_"

// outputs applies an example against stand-ins and compares what the module gives with
// what its contract promises: every output is there and has its type.
func (t *moduleTest) outputs(ctx context.Context, dir, name string) error {
	if t.contract == nil {
		return nil
	}
	call, err := moduleCall(filepath.Join(dir, "main.tf"))
	if err != nil {
		t.wrong("%s: %v", name, err)
		return nil
	}
	var more strings.Builder
	for _, o := range model.SortedKeys(t.contract.Spec.Outputs) {
		fmt.Fprintf(&more, "output %q {\n  value = module.%s.%s\n}\n", contractOutput+o, call, o)
	}
	if err := os.WriteFile(filepath.Join(dir, contractOutput+"outputs.tf"), []byte(more.String()), 0o600); err != nil {
		return err
	}
	if out, err := t.tofu(ctx, dir, "apply", "-input=false", "-no-color", "-auto-approve"); err != nil {
		t.wrong("%s cannot be applied:\n%s", name, out)
		return ctx.Err()
	}
	doc, err := t.binary.Run(ctx, dir, t.env, "output", "-json")
	if err != nil {
		return err
	}
	for _, wrong := range misfits(t.contract, doc) {
		t.wrong("%s: contract %s: %s", name, t.contract.Metadata.Name, wrong)
	}
	return nil
}

// misfits compares the document of `tofu output -json` with a contract.
func misfits(k *model.Contract, doc []byte) []string {
	var have map[string]struct {
		Sensitive bool
		Value     json.RawMessage
	}
	if err := json.Unmarshal(doc, &have); err != nil {
		return []string{"the outputs cannot be read: " + err.Error()}
	}
	var out []string
	for _, name := range model.SortedKeys(k.Spec.Outputs) {
		o := k.Spec.Outputs[name]
		is, there := have[contractOutput+name]
		want := o.Type
		if o.Secret() {
			want = "string" // where it is
		}
		typ, err := catalog.ParseType(want)
		switch {
		case err != nil:
			out = append(out, err.Error())
		case !there || string(is.Value) == "null":
			if !o.Optional {
				out = append(out, "output "+name+" is null")
			}
		case is.Sensitive:
			out = append(out, "output "+name+" is sensitive: outputs are kept on record, so that of a secret is where it is")
		default:
			if _, err := ctyjson.Unmarshal(is.Value, typ); err != nil {
				out = append(out, fmt.Sprintf("output %s is %s, which is no %s", name, is.Value, want))
			}
		}
	}
	return out
}

// moduleCall returns the name under which an example calls its module.
func moduleCall(file string) (string, error) {
	f, diags := hclparse.NewParser().ParseHCLFile(file)
	if diags.HasErrors() {
		return "", diags
	}
	body, ok := f.Body.(*hclsyntax.Body)
	if !ok {
		return "", fmt.Errorf("%s is not in HCL's native syntax", filepath.Base(file))
	}
	for _, b := range body.Blocks {
		if b.Type != "module" || len(b.Labels) != 1 || b.Body.Attributes["source"] == nil {
			continue
		}
		if v, diags := b.Body.Attributes["source"].Expr.Value(nil); !diags.HasErrors() && v.RawEquals(cty.StringVal("../..")) {
			return b.Labels[0], nil
		}
	}
	return "", fmt.Errorf("%s does not call the module (source = \"../..\")", filepath.Base(file))
}
