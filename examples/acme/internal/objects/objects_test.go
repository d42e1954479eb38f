package objects

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"example.com/acme/internal/env"
	"example.com/acme/internal/testenv"
)

func TestObjects(t *testing.T) {
	s3 := testenv.StartS3(t, testenv.NewCA(t))
	e := env.From(s3.Env("LABELS"))
	b := FromEnv(e, "LABELS")
	if err := e.Err(); err != nil {
		t.Fatal(err)
	}
	if err := b.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := b.Put(t.Context(), fmt.Sprintf("labels/2026/11/%d.svg", i), "image/svg+xml", []byte("<svg/>")); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Put(t.Context(), "other", "text/plain", nil); err != nil {
		t.Fatal(err)
	}
	found, err := b.List(t.Context(), "labels/")
	if err != nil || len(found) != 5 || found[4].Key != "labels/2026/11/4.svg" || found[4].Size != 6 {
		t.Errorf("objects %+v, error %v", found, err)
	}
	if body, err := b.Get(t.Context(), "labels/2026/11/3.svg"); err != nil || string(body) != "<svg/>" {
		t.Errorf("body %q, error %v", body, err)
	}
	if _, err := b.Get(t.Context(), "none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("error %v", err)
	}

	vars := s3.Env("LABELS")
	vars["LABELS_SECRET_KEY"] = "another"
	if err := FromEnv(env.From(vars), "LABELS").Check(t.Context()); err == nil || !strings.Contains(err.Error(), "SignatureDoesNotMatch") {
		t.Errorf("error %v", err)
	}
	s3.Down.Store(true)
	if err := b.Put(t.Context(), "other", "text/plain", nil); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("error %v", err)
	}
}
