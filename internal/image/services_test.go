package image_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// TestServices runs every image that has a server: from nothing, again with its data
// and a new password, and after it was killed.
func TestServices(t *testing.T) {
	socket := containerd(t)
	// Its own level, so that containerd outlives the tests that go on side by side.
	t.Run("run", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, *container){
			"postgres": testPostgres, "redis": testRedis, "mariadb": testMariaDB, "rabbitmq": testRabbitMQ, "objectstore": testObjectStore, "kafka": testKafka,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := service(t, socket, name)
				test(t, c)
				out, err := ctr(t.Context(), socket, "container", "ls", "-q")
				if err != nil || strings.Contains(out, name) {
					t.Errorf("containers left: %q, %v", out, err)
				}
			})
		}
	})
}

const newPassword = "another one"

func testPostgres(t *testing.T, c *container) {
	connect := func(secret string, how *tls.Config) (*pgx.Conn, error) {
		cfg, err := pgx.ParseConfig("postgres://127.0.0.1/")
		if err != nil {
			return nil, err
		}
		cfg.User, cfg.Database, cfg.Password, cfg.TLSConfig, cfg.Fallbacks = username, database, secret, how, nil
		cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx, "5432") }
		return pgx.ConnectConfig(t.Context(), cfg)
	}
	query := func(secret, sql string, want any) {
		t.Helper()
		conn, err := connect(secret, c.tls())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		var got any
		if err := conn.QueryRow(t.Context(), sql).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", sql, got, err, want)
		}
	}
	c.start("STRATA_EXTENSIONS=pg_trgm,uuid-ossp", "STRATA_SET_log_min_duration_statement=250")
	conn, err := connect(password, c.tls())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "CREATE TABLE orders (id int)"); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
	query(password, "INSERT INTO orders VALUES (7) RETURNING id", int32(7))
	query(password, "SELECT count(*) FROM pg_extension WHERE extname IN ('pg_trgm', 'uuid-ossp')", int64(2))
	query(password, "SHOW log_min_duration_statement", "250ms")
	query(password, "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user", false)
	if _, err := connect("wrong", c.tls()); err == nil || !strings.Contains(err.Error(), "password authentication failed") {
		t.Errorf("a wrong password: %v", err)
	}
	if _, err := connect(password, nil); err == nil || !strings.Contains(err.Error(), "no encryption") {
		t.Errorf("without TLS: %v", err)
	}
	c.stop()

	c.secret("secrets/password", []byte(newPassword))
	c.start("STRATA_EXTENSIONS=pg_trgm,hstore")
	query(newPassword, "SELECT id FROM orders", int32(7))
	query(newPassword, "SELECT count(*) FROM pg_extension WHERE extname = 'hstore'", int64(1))
	if _, err := connect(password, c.tls()); err == nil {
		t.Error("the old password is good still")
	}
	query(newPassword, "INSERT INTO orders VALUES (8) RETURNING id", int32(8))
	c.kill()

	c.start()
	query(newPassword, "SELECT count(*) FROM orders", int64(2))
	// A certificate that has changed is taken by a restart, which the container asks for.
	c.certify()
	c.logged("the certificate or the password has changed")
	c.gone()
	c.removed()
}

func testRedis(t *testing.T, c *container) {
	ask := func(secret string, words ...string) string {
		t.Helper()
		conn, err := c.dial(t.Context(), "6379")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		secure := tls.Client(conn, c.tls())
		replies := bufio.NewReader(secure)
		var reply string
		for _, w := range [][]string{{"AUTH", username, secret}, words} {
			fmt.Fprintf(secure, "*%d\r\n", len(w))
			for _, s := range w {
				fmt.Fprintf(secure, "$%d\r\n%s\r\n", len(s), s)
			}
			if reply, err = replies.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(reply, "$") && reply != "$-1\r\n" {
				if reply, err = replies.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			if strings.HasPrefix(reply, "-") {
				break
			}
		}
		return strings.TrimSpace(reply)
	}
	expect := func(got, want string) {
		t.Helper()
		if !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	c.start("STRATA_EVICTION=least-recently-used", "STRATA_MEMORY=67108864")
	expect(ask(password, "SET", "cart", "3"), "+OK")
	expect(ask("wrong", "GET", "cart"), "-WRONGPASS")
	expect(ask(password, "CONFIG", "GET", "dir"), "-NOPERM")
	expect(ask(password, "INFO", "memory"), "# Memory")
	c.stop()
	c.secret("secrets/password", []byte(newPassword))
	c.start()
	expect(ask(newPassword, "GET", "cart"), "3")
	expect(ask(password, "GET", "cart"), "-WRONGPASS")
	c.stop()
}

func testMariaDB(t *testing.T, c *container) {
	connect := func(secret string, secure bool) *sql.DB {
		t.Helper()
		cfg := mysql.NewConfig()
		cfg.User, cfg.Passwd, cfg.DBName, cfg.Net, cfg.Addr = username, secret, database, "tcp", "127.0.0.1:3306"
		cfg.Logger = &mysql.NopLogger{}
		cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx, "3306") }
		if secure {
			cfg.TLS = c.tls()
		}
		connector, err := mysql.NewConnector(cfg)
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(connector)
		t.Cleanup(func() { db.Close() })
		return db
	}
	do := func(secret, text string) {
		t.Helper()
		if _, err := connect(secret, true).ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	c.start("STRATA_SET_long_query_time=3")
	do(password, "CREATE TABLE orders (id INT)")
	do(password, "INSERT INTO orders VALUES (7)")
	if err := connect("wrong", true).PingContext(t.Context()); err == nil || !strings.Contains(err.Error(), "Access denied") {
		t.Errorf("a wrong password: %v", err)
	}
	if err := connect(password, false).PingContext(t.Context()); err == nil {
		t.Error("a client without TLS is let in")
	}
	if _, err := connect(password, true).ExecContext(t.Context(), "CREATE DATABASE other"); err == nil {
		t.Error("the user may make databases")
	}
	c.kill()
	c.secret("secrets/password", []byte(newPassword))
	c.start()
	var n int
	if err := connect(newPassword, true).QueryRowContext(t.Context(), "SELECT id FROM orders").Scan(&n); err != nil || n != 7 {
		t.Errorf("after a restart: %d, %v", n, err)
	}
	if err := connect(password, true).PingContext(t.Context()); err == nil {
		t.Error("the old password is good still")
	}
	c.stop()
}

func testRabbitMQ(t *testing.T, c *container) {
	connect := func(secret string) (*amqp.Connection, error) {
		u := url.URL{Scheme: "amqps", User: url.UserPassword(username, secret), Host: "127.0.0.1:5671", Path: "/" + database}
		return amqp.DialConfig(u.String(), amqp.Config{TLSClientConfig: c.tls(), Dial: func(_, _ string) (net.Conn, error) { return c.dial(t.Context(), "5671") }})
	}
	channel := func(secret string) *amqp.Channel {
		t.Helper()
		conn, err := connect(secret)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		ch, err := conn.Channel()
		if err != nil {
			t.Fatal(err)
		}
		return ch
	}
	c.start("STRATA_QUEUES=orders,mails")
	ch := channel(password)
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	sent, err := ch.PublishWithDeferredConfirmWithContext(t.Context(), "", "orders", true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte("7")})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := sent.WaitContext(t.Context()); err != nil || !ok {
		t.Fatalf("the message was not confirmed: %v", err)
	}
	if _, err := connect("wrong"); !errors.Is(err, amqp.ErrCredentials) {
		t.Errorf("a wrong password: %v", err)
	}
	c.stop()
	c.secret("secrets/password", []byte(newPassword))
	c.start("STRATA_QUEUES=orders,returns")
	ch = channel(newPassword)
	if m, ok, err := ch.Get("orders", true); err != nil || !ok || string(m.Body) != "7" {
		t.Errorf("the message after a restart: %q, %v, %v", m.Body, ok, err)
	}
	if _, err := ch.QueueDeclarePassive("returns", true, false, false, false, nil); err != nil {
		t.Error(err)
	}
	if _, err := connect(password); !errors.Is(err, amqp.ErrCredentials) {
		t.Errorf("the old password: %v", err)
	}
	c.kill()
	c.start()
	if _, err := channel(newPassword).QueueDeclarePassive("mails", true, false, false, false, nil); err != nil {
		t.Errorf("a queue that is not asked for any more: %v", err)
	}
	c.stop()
}

func testObjectStore(t *testing.T, c *container) {
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig: c.tls(), DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx, "9000") },
	}}
	do := func(secret, method, path, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "https://127.0.0.1:9000/"+path, bytes.NewBufferString(body))
		if err != nil {
			t.Fatal(err)
		}
		sign(req, username, secret, body)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	expect := func(code int, body string, wantCode int, want string) {
		t.Helper()
		if code != wantCode || !strings.Contains(body, want) {
			t.Errorf("status %d, %q; want %d, %q", code, body, wantCode, want)
		}
	}
	check := func(secret, method, path, body string, wantCode int, want string) {
		t.Helper()
		code, got := do(secret, method, path, body)
		expect(code, got, wantCode, want)
	}
	c.start("STRATA_VERSIONING=true", "STRATA_CORS=https://shop.acme.example")
	check(password, "PUT", database+"/receipts/7.txt", "first", 200, "")
	check(password, "PUT", database+"/receipts/7.txt", "second", 200, "")
	check(password, "GET", database+"?versions=", "", 200, "<IsLatest>false</IsLatest>")
	check(password, "GET", database+"?cors=", "", 200, "https://shop.acme.example")
	check("wrong", "GET", database+"/receipts/7.txt", "", 403, "SignatureDoesNotMatch")
	c.stop()
	c.secret("secrets/password", []byte(newPassword))
	c.start("STRATA_VERSIONING=false")
	check(newPassword, "GET", database+"/receipts/7.txt", "", 200, "second")
	check(newPassword, "GET", database+"?versioning=", "", 200, "Suspended")
	check(password, "GET", database+"/receipts/7.txt", "", 403, "")
	c.kill()
	c.start()
	check(newPassword, "GET", database+"/receipts/7.txt", "", 200, "second")
	c.stop()
}

func testKafka(t *testing.T, c *container) {
	connect := func(opts ...kgo.Opt) *kgo.Client {
		t.Helper()
		client, err := kgo.NewClient(append(opts, kgo.SeedBrokers("kafka.strata-data.svc:9094"), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequestRetries(1),
			kgo.Dialer(func(ctx context.Context, _, _ string) (net.Conn, error) {
				conn, err := c.dial(ctx, "9094")
				if err != nil {
					return nil, err
				}
				return tls.Client(conn, c.tls()), nil
			}))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		return client
	}
	withPlain := func(secret string) kgo.Opt {
		return kgo.SASL(plain.Auth{User: username, Pass: secret}.AsMechanism())
	}
	env := []string{"STRATA_TOPICS=orders:3", "STRATA_ADVERTISE=kafka.strata-data.svc:9094"}
	c.start(env...)
	err := connect(withPlain(password)).ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Partition: 2, Value: []byte("7")}).FirstErr()
	if err != nil {
		t.Fatal(err)
	}
	if err := connect(withPlain("wrong")).Ping(t.Context()); err == nil {
		t.Error("a wrong password is taken")
	}
	c.stop()
	c.secret("secrets/password", []byte(newPassword))
	c.start(env...)
	consumer := connect(kgo.SASL(scram.Auth{User: username, Pass: newPassword}.AsSha256Mechanism()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"orders": {2: kgo.NewOffset().AtStart()}}))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	fetched := consumer.PollFetches(ctx)
	if err := fetched.Err(); err != nil {
		t.Fatal(err)
	}
	if list := fetched.Records(); len(list) != 1 || string(list[0].Value) != "7" {
		t.Errorf("after a restart: %v", list)
	}
	c.stop()
}
