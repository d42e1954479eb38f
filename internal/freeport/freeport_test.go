package freeport_test

import (
	"fmt"
	"net"
	"testing"

	"github.com/stratahq/strata/internal/freeport"
)

func TestGet(t *testing.T) {
	seen := map[int]bool{}
	for range 100 {
		port := freeport.Get(t)
		if seen[port] {
			t.Errorf("port %d was given twice", port)
		}
		seen[port] = true
		// Whoever holds it keeps it.
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Error(err)
			continue
		}
		defer l.Close()
	}
}
