// Command strata-kafka is one Kafka broker for a local environment: kfake of franz-go
// with users, topics and TLS from files and arguments. It is the server in the image
// kafka, which strata-entry starts. It is made for development: one broker, one copy, and
// writes that the machine may lose if its power goes.
package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

// settings are the program's arguments.
type settings struct {
	address, advertise   string
	dir                  string
	username, secretFile string
	cert, key            string
	topics               string
}

func main() {
	var s settings
	flag.StringVar(&s.address, "address", ":9094", "address to listen on")
	flag.StringVar(&s.advertise, "advertise", "", "host:port at which clients are told to reach the broker")
	flag.StringVar(&s.dir, "dir", "", "folder that everything is kept in; none: in memory only")
	flag.StringVar(&s.username, "username", "", "user that may do everything")
	flag.StringVar(&s.secretFile, "secret-file", "", "file with the user's password")
	flag.StringVar(&s.cert, "cert", "", "certificate chain; none: plain text")
	flag.StringVar(&s.key, "key", "", "key of the certificate")
	flag.StringVar(&s.topics, "topics", "", "topics to make, each with its number of partitions: orders:6,returns:3")
	flag.Parse()
	if err := run(&s); err != nil {
		slog.Error("strata-kafka", "error", err)
		os.Exit(1)
	}
}

func run(s *settings) error {
	opts, err := s.options()
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	// Who may sign in is said anew at each start; what is kept of it has passwords in it.
	users := filepath.Join(s.dir, "sasl.json")
	if err := os.Remove(users); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return err
	}
	defer func() {
		cluster.Close()
		_ = os.Remove(users)
	}()
	kept := "everything is kept in memory and gone when it ends"
	if s.dir != "" {
		kept = "messages are written to " + s.dir + " without waiting for the disk"
	}
	slog.Info("ready: a single broker for development; "+kept, "address", s.address, "advertised", s.advertise, "tls", s.cert != "")
	<-stop
	slog.Info("stopping")
	return nil
}

func (s *settings) options() ([]kfake.Opt, error) {
	_, text, err := net.SplitHostPort(s.address)
	if err != nil {
		return nil, fmt.Errorf("-address: %w", err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("-address: %w", err)
	}
	if s.advertise == "" {
		return nil, errors.New("-advertise: clients must be told where the broker is")
	}
	secret, err := os.ReadFile(s.secretFile)
	if err != nil {
		return nil, err
	}
	password := strings.TrimRight(string(secret), "\r\n")
	opts := []kfake.Opt{
		kfake.NumBrokers(1), kfake.Ports(port), kfake.ListenFn(s.listen), kfake.ClusterID("strata"), kfake.WithLogger(logger{}), kfake.EnableSASL(),
	}
	for _, method := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		opts = append(opts, kfake.Superuser(method, s.username, password))
	}
	if s.dir != "" {
		opts = append(opts, kfake.DataDir(s.dir))
	}
	if s.cert != "" {
		pair, err := tls.LoadX509KeyPair(s.cert, s.key)
		if err != nil {
			return nil, err
		}
		opts = append(opts, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}))
	}
	for topic := range strings.SplitSeq(s.topics, ",") {
		if topic == "" {
			continue
		}
		name, count, ok := strings.Cut(topic, ":")
		n := 1
		if ok {
			if n, err = strconv.Atoi(count); err != nil || n < 1 {
				return nil, fmt.Errorf("-topics: %q names no number of partitions", topic)
			}
		}
		opts = append(opts, kfake.SeedTopics(int32(n), name))
	}
	return opts, nil
}

// listen listens on the address, and says of it what clients are told.
func (s *settings) listen(network, _ string) (net.Listener, error) {
	l, err := net.Listen(network, s.address)
	if err != nil {
		return nil, err
	}
	return advertised{l, s.advertise}, nil
}

// advertised is a listener that clients know by another address.
type advertised struct {
	net.Listener
	address string
}

// Addr implements net.Listener.
func (a advertised) Addr() net.Addr { return named(a.address) }

// named is the name and port of a host that this one cannot resolve.
type named string

// Network implements net.Addr.
func (named) Network() string { return "tcp" }

// String implements net.Addr.
func (n named) String() string { return string(n) }

// logger passes on what goes wrong.
type logger struct{}

// Logf implements kfake.Logger.
func (logger) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		slog.Error(fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		slog.Warn(fmt.Sprintf(format, args...))
	}
}
