package stack

import "testing"

func TestLocalState(t *testing.T) {
	root := []byte(`{"terraform": {"required_version": ">= 1.10", "backend": {"s3": {"bucket": "b"}}}, "module": {"this": {"source": "./m"}}}`)
	if got, err := LocalState(root); got != "" || err != nil {
		t.Errorf("a state in a bucket: %q, %v", got, err)
	}
	for _, file := range []string{"terraform.tfstate", "/states/dev/a.tfstate", "/odd ${x}/%{if}/$${y}/é", `/a "quoted"\name`} {
		r, err := WithLocalState(root, file)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := LocalState(r); got != file || err != nil {
			t.Errorf("%q became %q, %v", file, got, err)
		}
	}
	for _, bad := range []string{"", "[]", `{"terraform": {"backend": {"local": {"path": "${"}}}}`, `{"terraform": {"backend": {"local": {"path": "${x}"}}}}`, `{"terraform": {"backend": {"local": {"path": "${5}"}}}}`, `{"terraform": {"backend": {"local": {"path": "${null}"}}}}`} {
		if got, err := LocalState([]byte(bad)); err == nil {
			t.Errorf("%q: %q and no error", bad, got)
		}
	}
}
