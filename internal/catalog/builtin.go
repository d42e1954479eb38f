package catalog

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"

	"github.com/stratahq/strata/internal/model"
)

//go:embed contracts/*.yaml contracts/platform/*.yaml
var files embed.FS

// builtins returns the contracts that come with Strata. They are part of the
// program: one that does not decode is a mistake of ours, which the tests find,
// and no catalog can be made without it.
var builtins = sync.OnceValue(func() []*model.Contract {
	all, err := decodeBuiltins(files)
	if err != nil {
		panic(fmt.Sprintf("catalog: %v", err))
	}
	return all
})

func decodeBuiltins(fsys fs.FS) ([]*model.Contract, error) {
	var all []*model.Contract
	err := fs.WalkDir(fsys, "contracts", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".yaml") {
			return err
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		c := new(model.Contract)
		if err := yaml.UnmarshalStrict(data, c); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		c.Spec.Params, _ = wholeNumbers(c.Spec.Params).(map[string]any)
		all = append(all, c)
		return nil
	})
	return all, err
}

// wholeNumbers turns floats without a fraction into ints: the decoder goes
// through JSON, which makes every number a float, but a default of 7 should
// print, compare and render as 7 whichever decoder read it.
func wholeNumbers(v any) any {
	switch v := v.(type) {
	case float64:
		if n := int(v); float64(n) == v {
			return n
		}
	case map[string]any:
		for k, e := range v {
			v[k] = wholeNumbers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = wholeNumbers(e)
		}
	}
	return v
}
