package strata

import (
	"context"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// Every attribute is described, and none can hold a secret's value.
func TestSchema(t *testing.T) {
	answer, err := Schema(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range answer.Diagnostics {
		t.Errorf("%s: %s", d.Summary, d.Detail)
	}
	types := map[string]*tfprotov6.Schema{"strata": answer.Provider}
	for name, s := range answer.ResourceSchemas {
		types[name] = s
	}
	for name, s := range answer.DataSourceSchemas {
		types["data."+name] = s
	}
	for _, want := range []string{"strata_secret", "strata_secret_copy", "strata_manifest", "strata_certificate_authority", "strata_certificate", "strata_cluster", "data.strata_image"} {
		if types[want] == nil {
			t.Errorf("there is no %s", want)
		}
	}
	for name, s := range types {
		for _, a := range s.Block.Attributes {
			if a.Description == "" {
				t.Errorf("%s.%s is not described", name, a.Name)
			}
			if a.Sensitive {
				t.Errorf("%s.%s is sensitive, so that its value would be in the state", name, a.Name)
			}
		}
	}
}
