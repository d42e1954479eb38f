package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// rabbitmq is RabbitMQ of Debian, without its scripts: the variables that they would set
// are set here.
type rabbitmq struct{}

func (r rabbitmq) prepare(_ context.Context, c *config) (process, error) {
	home, err := newest("/usr/lib/rabbitmq/lib/rabbitmq_server-*")
	if err != nil {
		return process{}, err
	}
	erts, err := newest("/usr/lib/erlang/erts-*/bin")
	if err != nil {
		return process{}, err
	}
	if err := os.MkdirAll(c.store(), 0o750); err != nil {
		return process{}, err
	}
	definitions, err := r.definitions(c)
	if err != nil {
		return process{}, err
	}
	definitionsFile, err := c.write("definitions.json", definitions)
	if err != nil {
		return process{}, err
	}
	conf, err := c.write("rabbitmq.conf", r.conf(c, definitionsFile))
	if err != nil {
		return process{}, err
	}
	plugins, err := c.write("enabled_plugins", "[rabbitmq_prometheus].\n")
	if err != nil {
		return process{}, err
	}
	if err := cookie(c); err != nil {
		return process{}, err
	}
	return process{
		// It knows which Erlang is reached at which port, and refuses to be asked from elsewhere.
		helper: []string{filepath.Join(erts, "epmd")},
		argv: []string{
			filepath.Join(erts, "erlexec"), "-noinput", "-s", "rabbit", "boot", "-boot", "start_sasl", "-start_epmd", "false",
			"+W", "w", "+B", "i", "+P", "1048576", "+t", "5000000", "+stbt", "db", "+zdbbl", "128000", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none",
			"-syslog", "logger", "[]", "-syslog", "syslog_error_logger", "false",
			"-kernel", "prevent_overlapping_partitions", "false", "-kernel", "inet_dist_use_interface", "{127,0,0,1}",
		},
		env: []string{
			"BINDIR=" + erts, "ROOTDIR=/usr/lib/erlang", "EMU=beam", "PROGNAME=erl", "ERL_LIBS=" + filepath.Join(home, "plugins"), "HOME=" + c.run,
			"ERL_EPMD_ADDRESS=127.0.0.1", "ERL_MAX_PORTS=65536", "ERL_MAX_ETS_TABLES=50000", "ERL_CRASH_DUMP=/dev/null", "LANG=C.UTF-8",
			"RABBITMQ_HOME=" + home, "RABBITMQ_PLUGINS_DIR=" + filepath.Join(home, "plugins"), "RABBITMQ_ENABLED_PLUGINS_FILE=" + plugins,
			// The data is kept under the node's name, which therefore is none of the pod's.
			"RABBITMQ_NODENAME=rabbit@localhost", "RABBITMQ_MNESIA_BASE=" + c.store(), "RABBITMQ_CONFIG_FILE=" + conf, "RABBITMQ_LOGS=-", "RABBITMQ_LOG_BASE=" + c.run,
			"RABBITMQ_CONF_ENV_FILE=/nonexistent",
		},
		stop: syscall.SIGTERM,
	}, nil
}

// conf is the server's configuration.
func (rabbitmq) conf(c *config, definitions string) string {
	lines := []string{
		"load_definitions = " + definitions,
		"log.console = true", "log.console.level = notice", "log.file = false",
		fmt.Sprintf("total_memory_available_override_value = %d", c.memory), "vm_memory_high_watermark.relative = 0.6",
		// The other strategy asks ps.
		"vm_memory_calculation_strategy = allocated",
		"disk_free_limit.absolute = 64MB",
	}
	if c.tls {
		lines = append(lines, "listeners.tcp = none", "listeners.ssl.default = 5671", "ssl_options.certfile = "+c.cert(), "ssl_options.keyfile = "+c.key(),
			"ssl_options.verify = verify_none", "ssl_options.fail_if_no_peer_cert = false", "ssl_options.versions.1 = tlsv1.3", "ssl_options.versions.2 = tlsv1.2",
			"prometheus.ssl.port = 15691", "prometheus.ssl.certfile = "+c.cert(), "prometheus.ssl.keyfile = "+c.key())
	} else {
		lines = append(lines, "listeners.tcp.default = 5672", "prometheus.tcp.port = 15692")
	}
	return strings.Join(lines, "\n") + "\n"
}

// definitions are what the server makes true when it starts. The password is in them as
// the server keeps it: salted and hashed.
func (rabbitmq) definitions(c *config) (string, error) {
	salt := make([]byte, 4)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	sum := sha256.Sum256(append(salt[:len(salt):len(salt)], c.password...))
	type object map[string]any
	queues := []object{}
	for _, q := range c.queues {
		queues = append(queues, object{"name": q, "vhost": c.database, "durable": true, "auto_delete": false, "arguments": object{}})
	}
	b, err := json.Marshal(object{
		"vhosts": []object{{"name": c.database}},
		"users": []object{{
			"name": c.username, "tags": []string{}, "hashing_algorithm": "rabbit_password_hashing_sha256",
			"password_hash": base64.StdEncoding.EncodeToString(append(salt, sum[:]...)),
		}},
		"permissions": []object{{"user": c.username, "vhost": c.database, "configure": ".*", "write": ".*", "read": ".*"}},
		"queues":      queues,
	})
	return string(b), err
}

// cookie makes the secret with which tools in the container may talk to the server.
func cookie(c *config) error {
	b := make([]byte, 20)
	if _, err := rand.Read(b); err != nil {
		return err
	}
	file, err := c.write(".erlang.cookie", hex.EncodeToString(b))
	if err != nil {
		return err
	}
	return os.Chmod(file, 0o400)
}

func (rabbitmq) port(c *config) string {
	if c.tls {
		return "5671"
	}
	return "5672"
}

// provision waits: definitions are loaded before the server listens.
func (r rabbitmq) provision(ctx context.Context, c *config) error { return waiting(r.answers(ctx, c)) }

func (r rabbitmq) answers(ctx context.Context, c *config) error {
	return reachable(ctx, "tcp", "127.0.0.1:"+r.port(c))
}

// newest returns the last path of a pattern: which versions Debian has, it decides.
func newest(pattern string) (string, error) {
	list, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "", &fs.PathError{Op: "find", Path: pattern, Err: fs.ErrNotExist}
	}
	return list[len(list)-1], nil
}
