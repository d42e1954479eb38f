package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
)

// objectstore is the program strata-objectstore.
type objectstore struct{}

const healthPath = "/-/healthy"

func (objectstore) prepare(_ context.Context, c *config) (process, error) {
	if err := os.MkdirAll(c.store(), 0o750); err != nil {
		return process{}, err
	}
	argv := []string{
		"/usr/bin/strata-objectstore", "-dir", c.store(), "-address", ":9000", "-health", healthPath, "-access-key", c.username, "-secret-file", c.passwordFile(),
		"-bucket", c.database, "-cors", c.cors, "-versioning=" + strconv.FormatBool(c.versioning),
	}
	if c.tls {
		argv = append(argv, "-cert", c.cert(), "-key", c.key())
	}
	return process{argv: argv, stop: syscall.SIGTERM}, nil
}

// provision waits: the program makes its bucket before it listens.
func (o objectstore) provision(ctx context.Context, c *config) error {
	return waiting(o.answers(ctx, c))
}

func (objectstore) answers(ctx context.Context, c *config) error {
	scheme := "http"
	if c.tls {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://127.0.0.1:9000"+healthPath, nil)
	if err != nil {
		return err
	}
	// It asks itself: the certificate is for the name that others use.
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}} //nolint:gosec // see above
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// kafka is the program strata-kafka.
type kafka struct{}

func (kafka) port(c *config) string {
	if c.tls {
		return "9094"
	}
	return "9092"
}

func (k kafka) prepare(_ context.Context, c *config) (process, error) {
	if c.advertise == "" {
		return process{}, errors.New("STRATA_ADVERTISE must say at which host:port clients reach the broker")
	}
	argv := []string{
		"/usr/bin/strata-kafka", "-address", ":" + k.port(c), "-advertise", c.advertise, "-username", c.username, "-secret-file", c.passwordFile(), "-topics", c.topics,
	}
	if _, err := os.Stat(c.data); err == nil {
		argv = append(argv, "-dir", c.store())
	} else if !errors.Is(err, fs.ErrNotExist) {
		return process{}, err
	}
	if c.tls {
		argv = append(argv, "-cert", c.cert(), "-key", c.key())
	}
	return process{argv: argv, stop: syscall.SIGTERM}, nil
}

// provision waits: the program makes its topics before it listens.
func (k kafka) provision(ctx context.Context, c *config) error { return waiting(k.answers(ctx, c)) }

func (k kafka) answers(ctx context.Context, c *config) error {
	return reachable(ctx, "tcp", "127.0.0.1:"+k.port(c))
}

// waiting marks an error as one that goes away.
func waiting(err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", errWait, err)
	}
	return nil
}

// reachable says whether somebody accepts connections.
func reachable(ctx context.Context, network, address string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	return conn.Close()
}
