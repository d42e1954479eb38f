package kube

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/gateway/definitions"
)

// gatewayDefinitions decodes the CustomResourceDefinitions that gateways need, once.
var gatewayDefinitions = sync.OnceValues(func() ([]*unstructured.Unstructured, error) {
	files := definitions.Files()
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, err
	}
	var out []*unstructured.Unstructured
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		objs, err := cluster.Decode(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, objs...)
	}
	return out, nil
})

// DefinitionsDigest changes with what RenderDefinitions returns.
var DefinitionsDigest = sync.OnceValues(func() (string, error) {
	defined, err := gatewayDefinitions()
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(defined)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), err
})

// RenderDefinitions returns the definitions of the Gateway API and of what Strata adds to
// it, for a cluster that comes without them.
func RenderDefinitions(env Env, p Platform) ([]Object, error) {
	defined, err := gatewayDefinitions()
	if err != nil {
		return nil, err
	}
	lab := labels(env, "gateway-api", "definitions", "", nil)
	out := make([]Object, len(defined))
	for i, d := range defined {
		c := d.DeepCopy()
		l, a := c.GetLabels(), c.GetAnnotations()
		if l == nil {
			l = map[string]string{}
		}
		if a == nil {
			a = map[string]string{}
		}
		maps.Copy(l, lab)
		maps.Copy(a, annotations(p.Addr, nil))
		c.SetLabels(l)
		c.SetAnnotations(a)
		out[i] = c
	}
	return out, nil
}
