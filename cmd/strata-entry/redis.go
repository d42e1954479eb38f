package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// redis is Redis of Debian.
type redis struct{}

var evictions = map[string]string{
	"": "noeviction", "none": "noeviction", "least-recently-used": "allkeys-lru", "least-frequently-used": "allkeys-lfu", "soonest-to-expire": "volatile-ttl",
}

func (redis) prepare(_ context.Context, c *config) (process, error) {
	policy, ok := evictions[c.eviction]
	if !ok {
		return process{}, fmt.Errorf("STRATA_EVICTION is %q; it must be none, least-recently-used, least-frequently-used or soonest-to-expire", c.eviction)
	}
	if err := os.MkdirAll(c.store(), 0o750); err != nil {
		return process{}, err
	}
	lines := []string{
		"dir " + c.store(), "appendonly yes", "appendfsync everysec", `save ""`, "daemonize no", `logfile ""`,
		"bind * -::*", "protected-mode no", "unixsocket " + redisSocket(c), "unixsocketperm 700",
		fmt.Sprintf("maxmemory %d", c.memory*3/4), "maxmemory-policy " + policy,
		// Whoever signs in may do everything with data and nothing with the server.
		"user default off", fmt.Sprintf("user %s on #%x ~* &* +@all -@admin", c.username, sha256.Sum256([]byte(c.password))),
	}
	if c.tls {
		lines = append(lines, "port 0", "tls-port 6379", "tls-cert-file "+c.cert(), "tls-key-file "+c.key(), "tls-auth-clients no", `tls-protocols "TLSv1.2 TLSv1.3"`)
	} else {
		lines = append(lines, "port 6379")
	}
	file, err := c.write("redis.conf", strings.Join(lines, "\n")+"\n")
	return process{argv: []string{"/usr/bin/redis-server", file}, stop: syscall.SIGTERM}, err
}

func redisSocket(c *config) string { return filepath.Join(c.run, "redis.sock") }

// provision waits until the data is loaded: all else is in the configuration.
func (r redis) provision(ctx context.Context, c *config) error {
	if err := r.answers(ctx, c); err != nil {
		return fmt.Errorf("%w: %w", errWait, err)
	}
	return nil
}

func (redis) answers(ctx context.Context, c *config) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", redisSocket(c))
	if err != nil {
		return err
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(end); err != nil {
			return err
		}
	}
	replies := bufio.NewReader(conn)
	for _, words := range [][]string{{"AUTH", c.username, c.password}, {"PING"}} {
		fmt.Fprintf(conn, "*%d\r\n", len(words))
		for _, w := range words {
			fmt.Fprintf(conn, "$%d\r\n%s\r\n", len(w), w)
		}
		reply, err := replies.ReadString('\n')
		if err != nil {
			return err
		}
		if !strings.HasPrefix(reply, "+") {
			return fmt.Errorf("%s: %s", words[0], strings.TrimSpace(reply))
		}
	}
	return nil
}
