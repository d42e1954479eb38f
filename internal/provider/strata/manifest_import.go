package strata

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stratahq/strata/internal/cluster"
)

// ImportState implements resource.ResourceWithImportState: the id is the kubeconfig, an
// @, and apiVersion/kind/namespace/name. What is imported is the object's name; the
// next plan shows which fields the module sets.
func (r *manifest) ImportState(ctx context.Context, q resource.ImportStateRequest, out *resource.ImportStateResponse) {
	file, rest, ok := strings.Cut(q.ID, "@")
	obj, err := named(rest)
	if !ok || err != nil {
		out.Diagnostics.AddError("Invalid import id", "It is KUBECONFIG@apiVersion/kind/namespace/name, or without the namespace where the kind has none.")
		return
	}
	c, err := r.env.client(file)
	var there *unstructured.Unstructured
	if err == nil {
		there, err = c.Get(ctx, obj)
	}
	if err == nil && there == nil {
		err = errors.New("there is no " + cluster.Name(obj))
	}
	var value types.Dynamic
	if err == nil {
		value, err = dynamic(obj.Object)
	}
	if err != nil {
		out.Diagnostics.AddError("Cannot import non-existent remote object", err.Error())
		return
	}
	out.Diagnostics.Append(out.State.Set(ctx, &manifestModel{
		ID: types.StringValue(idOf(obj)), Kubeconfig: types.StringValue(file), Manifest: value,
		Wait: types.BoolValue(true), Timeout: types.StringValue("3m"), Protected: types.BoolValue(false),
	})...)
}

var groupVersion = regexp.MustCompile(`^v[0-9]+[a-z0-9]*$`)

// named is the object of an id, with nothing but its name. A group's version is two
// words, core's is one.
func named(id string) (*unstructured.Unstructured, error) {
	words := strings.Split(id, "/")
	version := 1
	if len(words) > 1 && groupVersion.MatchString(words[1]) {
		version = 2
	}
	if len(words) < version+2 || len(words) > version+3 {
		return nil, fmt.Errorf("%q names no object", id)
	}
	obj := &unstructured.Unstructured{Object: map[string]any{}}
	obj.SetAPIVersion(strings.Join(words[:version], "/"))
	obj.SetKind(words[version])
	obj.SetName(words[len(words)-1])
	if len(words) == version+3 {
		obj.SetNamespace(words[version+1])
	}
	return obj, nil
}
