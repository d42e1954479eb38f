package image

import "context"

// Resolve returns the packages of a recipe's own layer.
func (b *Builder) Resolve(ctx context.Context, r *Recipe) ([]Package, error) {
	chain, err := b.Recipes.chain(r)
	if err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for _, below := range chain[:len(chain)-1] {
		list, err := b.resolve(ctx, below, have, true)
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			have[p.Name] = true
		}
	}
	return b.resolve(ctx, r, have, true)
}
