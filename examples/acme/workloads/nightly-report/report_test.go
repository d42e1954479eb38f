package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"example.com/acme/internal/env"
	"example.com/acme/internal/objects"
	"example.com/acme/internal/postgres"
	"example.com/acme/internal/report"
	"example.com/acme/internal/shop"
	"example.com/acme/internal/testenv"
)

func TestReport(t *testing.T) {
	ca := testenv.NewCA(t)
	log := slog.New(slog.DiscardHandler)
	pool, err := postgres.Open(t.Context(), testenv.StartPostgres(t, ca).Database(t, "warehouse"), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(t.Context(), log, pool, files); err != nil {
		t.Fatal(err)
	}
	bucket := objects.FromEnv(env.From(testenv.StartS3(t, ca).Env("REPORTS")), "REPORTS")
	r := &reporter{log, pool, bucket}
	day := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

	read := func() summary {
		t.Helper()
		html, err := r.run(t.Context(), day)
		if err != nil {
			t.Fatal(err)
		}
		data, err := bucket.Get(t.Context(), "reports/2026-11-24.json")
		if err != nil {
			t.Fatal(err)
		}
		stored, err := bucket.Get(t.Context(), "reports/2026-11-24.html")
		if err != nil || string(stored) != string(html) {
			t.Errorf("the page in the bucket is another one: %v", err)
		}
		var s summary
		if err := json.Unmarshal(data, &s); err != nil {
			t.Fatal(err)
		}
		if (s.Day == nil) != strings.Contains(string(html), "nothing is known") {
			t.Errorf("page:\n%s", html)
		}
		return s
	}
	if s := read(); s.Day != nil || len(s.Last) != 0 {
		t.Errorf("a report of nothing: %+v", s)
	}

	export := func(date string, orders int, revenue int64) {
		t.Helper()
		data, err := json.Marshal(report.Export{Date: date, Sales: shop.Day{Orders: orders, Revenue: revenue, Currency: "EUR"}, Refunds: 1, Refunded: 100})
		if err != nil {
			t.Fatal(err)
		}
		if err := bucket.Put(t.Context(), report.ExportKey(date), "application/json", data); err != nil {
			t.Fatal(err)
		}
	}
	export("2026-10-01", 99, 99) // before the window
	export("2026-11-23", 1, 1000)
	export("2026-11-24", 2, 2500)
	export("2026-11-25", 7, 7777) // not over yet
	if err := bucket.Put(t.Context(), "exports/2026-11-22.json", "application/json", []byte("?")); err != nil {
		t.Fatal(err)
	}
	if s := read(); s.Day == nil || s.Day.Revenue != 2500 || s.Orders != 3 || s.Revenue != 3500 || s.Refunded != 200 || len(s.Last) != 2 {
		t.Errorf("report %+v", s)
	}
	export("2026-11-24", 3, 4000) // corrected since
	if s := read(); s.Day == nil || s.Day.Revenue != 4000 || s.Orders != 4 {
		t.Errorf("report %+v", s)
	}
	var runs int
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM runs`).Scan(&runs); err != nil || runs != 3 {
		t.Errorf("%d runs, error %v", runs, err)
	}
}

// mailServer takes one mail and returns it.
func mailServer(t *testing.T) (string, <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		var all strings.Builder
		data := false
		fmt.Fprint(conn, "220 test\r\n")
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			all.WriteString(line)
			switch verb := strings.ToUpper(strings.Fields(line + " .")[0]); {
			case data && line == ".\r\n":
				data = false
				fmt.Fprint(conn, "250 ok\r\n")
			case data:
			case verb == "EHLO":
				fmt.Fprint(conn, "250-test\r\n250 AUTH PLAIN\r\n")
			case verb == "AUTH":
				fmt.Fprint(conn, "235 ok\r\n")
			case verb == "DATA":
				data = true
				fmt.Fprint(conn, "354 go on\r\n")
			case verb == "QUIT":
				fmt.Fprint(conn, "221 bye\r\n")
				got <- all.String()
				return
			default:
				fmt.Fprint(conn, "250 ok\r\n")
			}
		}
	}()
	return l.Addr().String(), got
}

func TestMail(t *testing.T) {
	addr, got := mailServer(t)
	html := []byte("<h1>" + strings.Repeat("Report ", 40) + "</h1>")
	m := mail{host: "127.0.0.1", user: "reports", password: "secret", from: "a@acme.example", to: "b@acme.example"}
	if err := m.send(addr, "Report", html); err != nil {
		t.Fatal(err)
	}
	text := <-got
	_, body, _ := strings.Cut(text, "\r\n\r\n")
	body, _, _ = strings.Cut(body, "\r\n.\r\n")
	decoded, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body, "\r\n", ""))
	if err != nil || string(decoded) != string(html) {
		t.Errorf("error %v in:\n%s", err, text)
	}
	if want := base64.StdEncoding.EncodeToString([]byte("\x00reports\x00secret")); !strings.Contains(text, "AUTH PLAIN "+want) {
		t.Errorf("it did not sign in:\n%s", text)
	}
}
