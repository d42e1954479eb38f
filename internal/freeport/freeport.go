// Package freeport finds TCP ports for tests that start servers which have to be told a
// port. What can listen by itself listens at port 0 instead and needs none of this.
package freeport

import (
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
)

// Ports come from a range below the one that the kernel gives to connections and to those
// who listen at port 0 (net.ipv4.ip_local_port_range begins at 32768): a port of that range
// may be somebody else's by the time that a server binds it.
const first, many = 20000, 12000

var next atomic.Uint32

// Get returns a TCP port of 127.0.0.1 that is free, that it has not returned before, and
// that tests in other processes are not likely to be given at the same time. A machine
// without any fails the test.
func Get(t testing.TB) int {
	t.Helper()
	for range many {
		port := first + (os.Getpid()*97+int(next.Add(1)))%many
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatalf("no port from %d to %d is free", first, first+many-1)
	return 0
}
