package env

import (
	"strings"
	"testing"
)

func TestEverythingThatIsWrongIsSaidAtOnce(t *testing.T) {
	r := From(map[string]string{
		"PORT": "http", "SESSION_KEY": "short", "DATABASE_URL": "mysql://user:hush@host/db", "MODE": "off", "EMPTY": "",
	})
	r.String("EMPTY")
	r.String("ABSENT")
	r.Port("PORT")
	r.Key("SESSION_KEY")
	r.URL("DATABASE_URL", "postgres", "postgresql")
	r.OneOf("MODE", "sandbox", "webhook")
	err := r.Err()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"EMPTY, ABSENT", "PORT", "SESSION_KEY", "DATABASE_URL", `"off"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
	if strings.Contains(err.Error(), "hush") {
		t.Errorf("the password is in %q", err)
	}
}

func TestGoodValues(t *testing.T) {
	r := From(map[string]string{"PORT": "8080", "CATALOG_URL": "http://catalog:80", "NAME": "x"})
	if p := r.Port("PORT"); p != 8080 {
		t.Errorf("port %d", p)
	}
	if u := r.URL("CATALOG_URL", "http", "https"); u.Host != "catalog:80" {
		t.Errorf("URL %v", u)
	}
	if v := r.Optional("NAME", "y") + r.Optional("OTHER", "y") + r.OneOf("MODE", "a", "b"); v != "xya" {
		t.Errorf("values %q", v)
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}
