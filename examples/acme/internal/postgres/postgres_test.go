package postgres

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/acme/internal/testenv"
)

// The server's certificate is checked where the platform says whom to trust, and only
// there.
func TestWhoseCertificate(t *testing.T) {
	for dir, checked := range map[string]bool{"": false, "/etc/strata/trust": true} {
		cfg, err := pgx.ParseConfig("postgres://u:p@db.test/x?sslmode=require")
		if err != nil {
			t.Fatal(err)
		}
		verify(cfg, func(string) string { return dir })
		if cfg.TLSConfig == nil || cfg.TLSConfig.InsecureSkipVerify == checked || (checked && cfg.TLSConfig.ServerName != "db.test") {
			t.Errorf("SSL_CERT_DIR=%q: %+v", dir, cfg.TLSConfig)
		}
	}
	plain, err := pgx.ParseConfig("postgres://u:p@db.test/x?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	if verify(plain, func(string) string { return "/etc" }); plain.TLSConfig != nil {
		t.Error("sslmode=disable is not kept")
	}
}

func TestOpenHidesThePassword(t *testing.T) {
	_, err := Open(t.Context(), "postgres://u:hush hush@db.test:x/y", "test")
	if err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("error %v", err)
	}
}

func TestMigrations(t *testing.T) {
	server := testenv.StartPostgres(t, testenv.NewCA(t))
	url := server.Database(t, "x")
	pool, err := Open(t.Context(), url, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	log := slog.New(slog.DiscardHandler)
	file := func(sql string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(sql)} }
	files := fstest.MapFS{"0001_a.sql": file(`CREATE TABLE a (n integer)`), "0002_b.sql": file(`CREATE TABLE b (n integer); INSERT INTO a VALUES (1)`)}
	for range 2 {
		if err := Migrate(t.Context(), log, pool, files); err != nil {
			t.Fatal(err)
		}
	}
	// What the server refuses is an error at once, and leaves nothing half done.
	files["0003_c.sql"] = file(`CREATE TABLE c (n integer); INSERT INTO a VALUES (1); INSERT INTO nowhere VALUES (1)`)
	if err := Migrate(t.Context(), log, pool, files); err == nil || !strings.Contains(err.Error(), "0003_c.sql") {
		t.Errorf("error %v", err)
	}
	files["0003_c.sql"] = file(`CREATE TABLE c (n integer)`)
	if err := Migrate(t.Context(), log, pool, files); err != nil {
		t.Error(err)
	}
	var n int
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM a`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, error %v", n, err)
	}

	// A server that is away is waited for, and found again.
	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := Migrate(ctx, log, pool, files); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	server.Start(t)
	if err := Migrate(t.Context(), log, pool, files); err != nil {
		t.Error(err)
	}
}
