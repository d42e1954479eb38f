package image_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/needs"
)

// containerdConfig makes nothing outside the two folders: the plugin opt would make one in /opt.
const containerdConfig = `version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = %q
`

// containerd starts one of the test's own and returns its socket. Where the machine or
// the user cannot run one, the test is left out.
func containerd(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("containerd")
	if err != nil || os.Getuid() != 0 {
		needs.Skip(t, "containers need root and containerd")
	}
	if _, err := exec.LookPath("runc"); err != nil {
		needs.Skip(t, "containers need runc")
	}
	dir, err := os.MkdirTemp("", "ctr-") // short: the path of a socket has its limits
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	socket := filepath.Join(dir, "containerd.sock")
	config := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, containerdConfig, filepath.Join(dir, "root"), filepath.Join(dir, "state"), socket), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(program, "--config", config, "--log-level", "error")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it ends by a signal
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
		if t.Failed() {
			t.Logf("containerd:\n%s", log.String())
		}
	})
	eventually(t, "containerd", func() error {
		select {
		case <-ended:
			t.Fatal("containerd has ended")
		default:
		}
		c, err := net.Dial("unix", socket)
		if err == nil {
			err = c.Close()
		}
		return err
	})
	return socket
}

// eventually calls f until it succeeds. Shortly before all tests are out of time the test
// fails with its error: how long a server may take is for a busy machine to say.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	end := time.Now().Add(10 * time.Minute)
	if last, ok := t.Deadline(); ok {
		end = last.Add(-30 * time.Second)
	}
	for err := f(); err != nil; err = f() {
		if time.Now().After(end) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// ctr runs a command of containerd's client.
func ctr(ctx context.Context, socket string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "ctr", append([]string{"--address", socket, "--namespace", "k8s.io"}, args...)...).CombinedOutput()
	if err != nil {
		err = errors.Join(fmt.Errorf("ctr %v: %w", args, err), errors.New(string(bytes.TrimSpace(out))))
	}
	return string(out), err
}
