// Command services is a workload that uses every service of the local modules, as the
// contracts say: host, port and names from the environment, passwords from files. It
// checks certificates against what the pod trusts and nothing else. It is what the tests
// of modules/local run in a pod.
//
//	services write   puts something into each service
//	services read    finds it there
//	services closed  makes sure that none of them can be reached
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

// written is what is put into each service.
const written = "it was here"

var services = map[string]func(ctx context.Context, write bool) error{
	"POSTGRES": usePostgres, "MYSQL": useMySQL, "REDIS": useRedis, "AMQP": useAMQP, "S3": useS3, "KAFKA": useKafka,
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	failed := 0
	for name, use := range services {
		var err error
		if os.Args[1] == "closed" {
			err = closed(name)
		} else {
			err = use(ctx, os.Args[1] == "write")
		}
		if err != nil {
			failed++
			fmt.Printf("%s: %v\n", name, err)
		} else {
			fmt.Printf("%s: ok\n", name)
		}
	}
	if failed > 0 {
		os.Exit(1)
	}
}

func closed(name string) error {
	conn, err := net.DialTimeout("tcp", address(name), 3*time.Second)
	if err != nil {
		return nil
	}
	return errors.Join(errors.New("it can be reached"), conn.Close())
}

func env(service, what string) string { return os.Getenv(service + "_" + what) }

func password(service string) string {
	b, err := os.ReadFile("/etc/passwords/" + strings.ToLower(service))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	return string(b)
}

func address(service string) string {
	if u, err := url.Parse(env(service, "ENDPOINT")); err == nil && u.Host != "" {
		return u.Host
	}
	return net.JoinHostPort(env(service, "HOST"), env(service, "PORT"))
}

func want(got string) error {
	if got != written {
		return fmt.Errorf("it has %q", got)
	}
	return nil
}

func usePostgres(ctx context.Context, write bool) error {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(env("POSTGRES", "USERNAME"), password("POSTGRES")), Host: address("POSTGRES"), Path: env("POSTGRES", "NAME"), RawQuery: "sslmode=verify-full"}
	conn, err := pgx.Connect(ctx, u.String())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if write {
		_, err := conn.Exec(ctx, "create table t (v text); insert into t values ('"+written+"')")
		return err
	}
	var got string
	if err := conn.QueryRow(ctx, "select v || case when exists (select from pg_extension where extname = 'pgcrypto') then '' else ' without pgcrypto' end from t").Scan(&got); err != nil {
		return err
	}
	return want(got)
}

func useMySQL(ctx context.Context, write bool) error {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName, c.TLSConfig = env("MYSQL", "USERNAME"), password("MYSQL"), "tcp", address("MYSQL"), env("MYSQL", "NAME"), "true"
	db, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		return err
	}
	defer db.Close()
	if write {
		if _, err := db.ExecContext(ctx, "create table t (v text)"); err != nil {
			return err
		}
		_, err = db.ExecContext(ctx, "insert into t values (?)", written)
		return err
	}
	var got string
	if err := db.QueryRowContext(ctx, "select v from t").Scan(&got); err != nil {
		return err
	}
	return want(got)
}

// useRedis speaks the protocol itself: a few lines are less than a driver.
func useRedis(ctx context.Context, write bool) error {
	conn, err := (&tls.Dialer{}).DialContext(ctx, "tcp", address("REDIS"))
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	ask := func(words ...string) (string, error) {
		var b strings.Builder
		fmt.Fprintf(&b, "*%d\r\n", len(words))
		for _, w := range words {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
		}
		if _, err := io.WriteString(conn, b.String()); err != nil {
			return "", err
		}
		line, err := in.ReadString('\n')
		line = strings.TrimSpace(line)
		switch {
		case err != nil:
			return "", err
		case strings.HasPrefix(line, "-"):
			return "", errors.New(line)
		case strings.HasPrefix(line, "$") && line != "$-1":
			line, err = in.ReadString('\n')
			return strings.TrimSpace(line), err
		}
		return line, nil
	}
	if _, err := ask("AUTH", env("REDIS", "USERNAME"), password("REDIS")); err != nil {
		return err
	}
	if _, err := ask("CONFIG", "GET", "*"); err == nil {
		return errors.New("its user may administer it")
	}
	if write {
		_, err := ask("SET", "k", written)
		return err
	}
	got, err := ask("GET", "k")
	if err != nil {
		return err
	}
	return want(got)
}

func useAMQP(ctx context.Context, write bool) error {
	u := url.URL{Scheme: "amqps", User: url.UserPassword(env("AMQP", "USERNAME"), password("AMQP")), Host: address("AMQP"), Path: "/" + env("AMQP", "VHOST")}
	conn, err := amqp.Dial(u.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	if write {
		return ch.PublishWithContext(ctx, "", "orders", true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(written)})
	}
	m, ok, err := ch.Get("orders", true)
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("the queue is empty")
	}
	return want(string(m.Body))
}

func useS3(ctx context.Context, write bool) error {
	method, body := http.MethodGet, []byte(nil)
	if write {
		method, body = http.MethodPut, []byte(written)
	}
	req, err := http.NewRequestWithContext(ctx, method, env("S3", "ENDPOINT")+"/"+env("S3", "BUCKET")+"/k", bytes.NewReader(body))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	credentials := aws.Credentials{AccessKeyID: env("S3", "ACCESS_KEY_ID"), SecretAccessKey: password("S3")}
	if err := v4.NewSigner().SignHTTP(ctx, credentials, req, hash, "s3", env("S3", "REGION"), time.Now()); err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, got)
	}
	if write {
		return nil
	}
	return want(string(got))
}

func useKafka(ctx context.Context, write bool) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(env("KAFKA", "BOOTSTRAP_SERVERS")), kgo.DialTLS(), kgo.DefaultProduceTopic(env("KAFKA", "TOPIC")), kgo.ConsumeTopics(env("KAFKA", "TOPIC")),
		kgo.SASL(plain.Auth{User: env("KAFKA", "USERNAME"), Pass: password("KAFKA")}.AsMechanism()),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	if write {
		return client.ProduceSync(ctx, kgo.StringRecord(written)).FirstErr()
	}
	fetches := client.PollRecords(ctx, 1)
	if err := fetches.Err(); err != nil {
		return err
	}
	for r := range fetches.RecordsAll() {
		return want(string(r.Value))
	}
	return errors.New("the topic is empty")
}
