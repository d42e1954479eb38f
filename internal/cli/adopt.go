package cli

import (
	"encoding/json"
	"strings"

	"github.com/stratahq/strata/internal/runner/tofu"
)

// awsAdopter finds objects in AWS: by their names where they have any, as releases of
// charts in its clusters do, and by their tags where AWS chose their ids.
type awsAdopter struct{}

var _ tofu.Adopter = awsAdopter{}

// ImportID implements tofu.Adopter.
func (awsAdopter) ImportID(typ string, attrs map[string]any) (string, bool) {
	facts, err := factsOf("aws")
	if strings.HasPrefix(typ, helmProvider+"_") {
		facts, err = factsOf(helmProvider)
	}
	if err != nil {
		return "", false
	}
	return facts.ImportID(typ, attrs)
}

// Lookup implements tofu.Adopter: the tagging API lists what carries the unit's
// tags.
func (awsAdopter) Lookup(unit string, root []byte) ([]byte, bool) {
	var doc map[string]any
	if err := json.Unmarshal(root, &doc); err != nil {
		return nil, false
	}
	providers, _ := doc["provider"].(map[string]any)
	aws, _ := providers["aws"].(map[string]any)
	tags, _ := aws["default_tags"].(map[string]any)
	all, _ := tags["tags"].(map[string]any)
	env, _ := all["environment"].(string)
	settings, _ := doc["terraform"].(map[string]any)
	if aws == nil || env == "" || settings == nil {
		return nil, false
	}
	settings["backend"] = map[string]any{"local": map[string]any{}}
	filter := func(key, value string) map[string]any { return map[string]any{"key": key, "values": []any{value}} }
	look := map[string]any{
		"terraform": settings, "provider": providers,
		"data": map[string]any{"aws_resourcegroupstaggingapi_resources": map[string]any{"unit": map[string]any{
			"tag_filter": []any{filter("unit", unit), filter("environment", env), filter("managed-by", "strata")},
		}}},
		"output": map[string]any{"found": map[string]any{"value": "${data.aws_resourcegroupstaggingapi_resources.unit.resource_tag_mapping_list}"}},
	}
	if v, ok := doc["variable"]; ok {
		look["variable"] = v
	}
	out, err := json.Marshal(look)
	return out, err == nil
}

// Match implements tofu.Adopter. The last part of an ARN is the id; the part before
// says what it is: arn:aws:ec2:REGION:ACCOUNT:vpc/vpc-1 is an aws_vpc.
func (awsAdopter) Match(found json.RawMessage, typ, name string) (string, bool) {
	var list []struct {
		ARN  string            `json:"resource_arn"`
		Tags map[string]string `json:"tags"`
	}
	if err := json.Unmarshal(found, &list); err != nil {
		return "", false
	}
	facts, err := factsOf("aws")
	if err != nil {
		return "", false
	}
	service, kind, ok := strings.Cut(facts[typ].ARN, ":")
	if !ok {
		return "", false
	}
	for _, o := range list {
		parts := strings.SplitN(o.ARN, ":", 6)
		if o.Tags["Name"] != name || len(parts) != 6 || parts[2] != service {
			continue
		}
		if id, ok := strings.CutPrefix(parts[5], kind+"/"); ok {
			return id, true
		}
	}
	return "", false
}
