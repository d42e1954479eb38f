package standin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Fixture is what a data source answers to a question.
type Fixture struct {
	// Type is the data source's type.
	Type string `yaml:"type"`
	// Match has attributes of the configuration that must be as they are here.
	Match map[string]any `yaml:"match"`
	// Attributes are the answer; text may name {account_id}, {region} and
	// {partition}. What is missing is made up.
	Attributes map[string]any `yaml:"attributes"`
}

// DecodeFixtures reads a list of fixtures, in YAML. Unknown fields are errors.
func DecodeFixtures(data []byte) ([]Fixture, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	var out []Fixture
	if err := d.Decode(&out); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("fixtures: %w", err)
	}
	for i, f := range out {
		if f.Type == "" {
			return nil, fmt.Errorf("fixtures: the %d. has no type", i+1)
		}
	}
	return out, nil
}

// builtin are answers that need no fixture.
var builtin = []Fixture{
	{Type: "aws_caller_identity", Attributes: map[string]any{
		"account_id": "{account_id}", "id": "{account_id}", "user_id": "AIDASTANDIN", "arn": "arn:aws:sts::{account_id}:assumed-role/strata-deployer/strata",
	}},
	{Type: "aws_region", Attributes: map[string]any{"name": "{region}", "id": "{region}", "description": "{region}", "endpoint": "ec2.{region}.amazonaws.com"}},
	{Type: "strata_image"},
	{Type: "aws_partition", Attributes: map[string]any{"partition": "{partition}", "id": "{partition}", "dns_suffix": "amazonaws.com", "reverse_dns_prefix": "com.amazonaws"}},
	{Type: "aws_availability_zones", Attributes: map[string]any{
		"names": []any{"{region}a", "{region}b", "{region}c", "{region}d", "{region}e", "{region}f"}, "id": "{region}",
		"zone_ids": []any{"az1", "az2", "az3", "az4", "az5", "az6"}, "group_names": []any{"{region}"},
	}},
}

// data answers a data source.
func (s *Server) data(typ string, b Block, config map[string]any) (map[string]any, error) {
	if typ == "aws_resourcegroupstaggingapi_resources" {
		return s.tagged(typ, b, config)
	}
	for _, f := range slices.Concat(s.fixtures, builtin) {
		if f.Type != typ || !f.matches(config) {
			continue
		}
		out := map[string]any{}
		for name, a := range b.Attributes {
			out[name] = config[name]
			if v, ok := f.Attributes[name]; ok && config[name] == nil {
				out[name] = s.fixed(fromYAML(v))
			} else if config[name] == nil && a.Computed {
				out[name] = unknown{}
			}
		}
		for name := range b.Blocks {
			out[name] = config[name]
			if v, ok := f.Attributes[name]; ok {
				out[name] = s.fixed(fromYAML(v))
			}
		}
		return s.fillBlock("data "+typ, b, out), nil
	}
	return nil, fmt.Errorf("no fixture matches %s; add one to fixtures.yaml beside the module: {type: %s, match: {...}, attributes: {...}}", describe(typ, config), typ)
}

func describe(typ string, config map[string]any) string {
	var parts []string
	for k, v := range config {
		if text, ok := scalar(v); ok {
			parts = append(parts, k+" = "+text)
		}
	}
	slices.Sort(parts)
	if len(parts) == 0 {
		return typ
	}
	return typ + " with " + strings.Join(parts, ", ")
}

func (f Fixture) matches(config map[string]any) bool {
	for k, want := range f.Match {
		if !reflect.DeepEqual(fromYAML(want), config[k]) {
			return false
		}
	}
	return true
}

// fixed fills in names within the text of a fixture.
func (s *Server) fixed(v any) any {
	switch v := v.(type) {
	case string:
		return strings.NewReplacer("{account_id}", s.account, "{region}", s.region, "{partition}", "aws").Replace(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = s.fixed(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = s.fixed(e)
		}
		return out
	}
	return v
}

// tagged lists what the cloud has with certain tags.
func (s *Server) tagged(typ string, b Block, config map[string]any) (map[string]any, error) {
	found := []any{}
	if s.cloud != nil {
		all, err := s.cloud.list(s.account, "")
		if err != nil {
			return nil, err
		}
		for _, o := range all {
			tags, ok := o.Attributes["tags_all"].(map[string]any)
			if !ok || !tagsMatch(tags, config["tag_filter"]) {
				continue
			}
			arn, _ := o.Attributes["arn"].(string)
			if arn == "" {
				arn = s.arn(o.Type, o.ID)
			}
			found = append(found, map[string]any{"resource_arn": arn, "tags": tags, "compliance_details": []any{}})
		}
	}
	out := map[string]any{}
	for name, a := range b.Attributes {
		out[name] = config[name]
		if config[name] == nil && a.Computed {
			out[name] = unknown{}
		}
	}
	for name := range b.Blocks {
		out[name] = config[name]
	}
	out["resource_tag_mapping_list"] = found
	return s.fillBlock("data "+typ, b, out), nil
}

func tagsMatch(tags map[string]any, filters any) bool {
	list, _ := filters.([]any)
	for _, e := range list {
		f, _ := e.(map[string]any)
		key, _ := f["key"].(string)
		values, _ := f["values"].([]any)
		have, ok := tags[key]
		if !ok || len(values) > 0 && !slices.Contains(values, have) {
			return false
		}
	}
	return true
}
