package standin

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// Served makes the schema of a provider that this program serves itself, from what it
// answers OpenTofu: there is no file of it that could be out of date.
func Served(source, version string, r *tfprotov6.GetProviderSchemaResponse) (*Schema, error) {
	s := &Schema{Source: source, Version: version, Resources: map[string]Block{}, Data: map[string]Block{}}
	var err error
	if s.Config, err = served(r.Provider.Block); err != nil {
		return nil, err
	}
	for from, to := range map[*map[string]*tfprotov6.Schema]map[string]Block{&r.ResourceSchemas: s.Resources, &r.DataSourceSchemas: s.Data} {
		for typ, schema := range *from {
			if to[typ], err = served(schema.Block); err != nil {
				return nil, fmt.Errorf("%s: %w", typ, err)
			}
		}
	}
	return s, nil
}

func served(b *tfprotov6.SchemaBlock) (Block, error) {
	out := Block{Attributes: map[string]Attribute{}}
	if len(b.BlockTypes) > 0 {
		return out, fmt.Errorf("block %s: our providers have attributes only", b.BlockTypes[0].TypeName)
	}
	for _, a := range b.Attributes {
		if a.NestedType != nil {
			return out, fmt.Errorf("attribute %s is nested: our providers have none such", a.Name)
		}
		out.Attributes[a.Name] = Attribute{Type: a.Type, Required: a.Required, Optional: a.Optional, Computed: a.Computed, Sensitive: a.Sensitive}
	}
	return out, nil
}
