//go:build later

package check

// Compile compiles one environment. The diagnostics must hold no error.
func (r *Result) Compile(env string) (*compile.Compiled, error) {
	if r.Diagnostics.HasErrors() {
		return nil, fmt.Errorf("the description has errors")
	}
	return compile.Compile(r.Model, r.Catalog, env)
}

// Judged is what the policies say of some environments.
type Judged struct {
	Findings []policy.Finding
	// Objects is how many Kubernetes objects were judged, Units how many units
	// there are, in all environments.
	Objects, Units int
}

// Judge compiles the environments and runs every policy over the model and the
// objects. today decides which exceptions have expired.
func (r *Result) Judge(ctx context.Context, today time.Time, envs ...string) (Judged, error) {
	var out Judged
	return out, nil
}
