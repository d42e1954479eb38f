package cli

import (
	"strings"
	"testing"

	"github.com/stratahq/strata/internal/model"
)

// TestMisfits holds outputs against a contract.
func TestMisfits(t *testing.T) {
	k := &model.Contract{Spec: model.ContractSpec{Outputs: map[string]model.ContractOutput{
		"host": {Type: "string"}, "port": {Type: "number"}, "zones": {Type: "list(string)"}, "note": {Type: "string", Optional: true},
		"token": {Type: "object({a = string})", Kind: "secret"},
	}}}
	const good = `{
		"strata_contract_host": {"value": "h"}, "strata_contract_port": {"value": 5432}, "strata_contract_zones": {"value": ["a"]},
		"strata_contract_token": {"value": "arn#key"}, "strata_contract_note": {"value": null}, "more": {"value": 1}
	}`
	if got := misfits(k, []byte(good)); len(got) > 0 {
		t.Errorf("finds %v", got)
	}
	for name, c := range map[string]struct{ from, to, says string }{
		"null":          {`"h"`, `null`, "output host is null"},
		"missing":       {`strata_contract_host`, `host`, "output host is null"},
		"another type":  {`["a"]`, `{"a": 1}`, "which is no list(string)"},
		"no number":     {`5432`, `"many"`, "which is no number"},
		"sensitive":     {`{"value": "h"}`, `{"value": "h", "sensitive": true}`, "output host is sensitive"},
		"a secret":      {`"arn#key"`, `{"a": "planted"}`, "which is no string"},
		"no document":   {`{`, ``, "cannot be read"},
		"not even null": {`"strata_contract_port": {"value": 5432}, `, ``, "output port is null"},
	} {
		got := strings.Join(misfits(k, []byte(strings.Replace(good, c.from, c.to, 1))), "; ")
		if !strings.Contains(got, c.says) {
			t.Errorf("%s: %q, want %q", name, got, c.says)
		}
	}
}
