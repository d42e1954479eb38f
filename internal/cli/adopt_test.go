package cli

import "testing"

// TestAdopterImportIDs asks for the ids by which objects are taken over that a killed run
// has left.
func TestAdopterImportIDs(t *testing.T) {
	for typ, c := range map[string]struct {
		attrs map[string]any
		want  string
	}{
		"helm_release": {map[string]any{"name": "istiod", "namespace": "istio-system"}, "istio-system/istiod"},
		"aws_iam_role": {map[string]any{"name": "reader"}, "reader"},
	} {
		if got, ok := (awsAdopter{}).ImportID(typ, c.attrs); !ok || got != c.want {
			t.Errorf("%s: %q, want %q", typ, got, c.want)
		}
	}
	if got, ok := (awsAdopter{}).ImportID("helm_release", map[string]any{"name": "istiod"}); ok {
		t.Errorf("a release of no namespace is %q", got)
	}
}
