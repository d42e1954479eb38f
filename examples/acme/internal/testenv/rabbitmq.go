package testenv

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
)

// RabbitMQ is a broker of a test's own.
type RabbitMQ struct {
	// URL is where programs reach it, with TLS; Local is the same without.
	URL, Local string
	command    func() *exec.Cmd
	process    *Process
	dist       int // where its node is reached, for as long as it runs
}

// StartRabbitMQ starts a broker. The test is skipped where RabbitMQ is not installed.
func StartRabbitMQ(t *testing.T, ca CA) *RabbitMQ {
	t.Helper()
	const scripts = "/usr/lib/rabbitmq/bin"
	server := filepath.Join(scripts, "rabbitmq-server")
	epmd, err := exec.LookPath("epmd")
	if _, missing := os.Stat(server); missing != nil || err != nil {
		lacks(t, "needs RabbitMQ: apt-get install rabbitmq-server")
	}
	dir := Dir(t, "mq")
	attr := as(t, "rabbitmq", dir)
	tls, plain, names, dist := FreePort(t), FreePort(t), FreePort(t), FreePort(t)
	conf := fmt.Sprintf(`listeners.tcp.1 = 127.0.0.1:%d
listeners.ssl.1 = 127.0.0.1:%d
ssl_options.certfile = %s
ssl_options.keyfile = %s
ssl_options.verify = verify_none
loopback_users = none
default_user = acme
default_pass = secret
default_vhost = acme
log.console = true
log.console.level = warning
disk_free_limit.absolute = 1MB
`, plain, tls, ca.Cert, ca.Key)
	check(t, os.WriteFile(filepath.Join(dir, "rabbitmq.conf"), []byte(conf), 0o644))
	check(t, os.WriteFile(filepath.Join(dir, "plugins"), []byte("[].\n"), 0o644))

	// Erlang's name server would stay behind if it were started by the broker.
	mapper := exec.Command(epmd, "-port", fmt.Sprint(names), "-address", "127.0.0.1")
	mapper.SysProcAttr = attr
	start(t, mapper)

	r := &RabbitMQ{
		URL:   fmt.Sprintf("amqps://acme:secret@localhost:%d/acme", tls),
		Local: fmt.Sprintf("amqp://acme:secret@127.0.0.1:%d/acme", plain),
		dist:  dist,
	}
	r.command = func() *exec.Cmd {
		cmd := exec.Command(server)
		cmd.SysProcAttr, cmd.Dir = attr, dir
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LANG=C.UTF-8",
			"RABBITMQ_NODENAME=acme@localhost", fmt.Sprint("RABBITMQ_DIST_PORT=", dist),
			fmt.Sprint("ERL_EPMD_PORT=", names), "ERL_EPMD_ADDRESS=127.0.0.1",
			"RABBITMQ_MNESIA_BASE=" + filepath.Join(dir, "data"), "RABBITMQ_LOG_BASE=" + filepath.Join(dir, "log"), "RABBITMQ_LOGS=-",
			"RABBITMQ_CONFIG_FILE=" + filepath.Join(dir, "rabbitmq"), "RABBITMQ_ENABLED_PLUGINS_FILE=" + filepath.Join(dir, "plugins"),
			"RABBITMQ_CONF_ENV_FILE=" + filepath.Join(dir, "none"), "RABBITMQ_PID_FILE=" + filepath.Join(dir, "pid"),
			"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
		}
		return cmd
	}
	r.Start(t)
	return r
}

// Restart ends the broker in order and starts it again.
func (r *RabbitMQ) Restart(t *testing.T) {
	t.Helper()
	// The start script is stopped as well, and may end before the broker has.
	_ = r.process.Stop()
	Wait(t, "RabbitMQ has ended", func() error {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.dist))
		if err != nil {
			return nil
		}
		return errors.Join(errors.New("it still runs"), conn.Close())
	})
	r.Start(t)
}

// Start starts the broker again after Kill.
func (r *RabbitMQ) Start(t *testing.T) {
	t.Helper()
	r.process = start(t, r.command())
	r.process.Until(t, "RabbitMQ answers", func() error {
		conn, err := amqp.Dial(r.Local)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// Kill ends the broker as a crash would.
func (r *RabbitMQ) Kill() { r.process.Kill() }
