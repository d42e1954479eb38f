package e2e

import (
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// The main goroutine keeps the main thread for itself. A thread in another network ends
// with its goroutine, but the main thread can't end: it would stay in there, hold that
// network, and be what /proc/self tells of.
func init() { runtime.LockOSThread() }

// inNetwork runs f in the network of a process. Sockets that f makes in its own goroutine
// stay there.
func inNetwork(pid int, f func() error) error {
	ended := make(chan error, 1)
	go func() {
		// The thread is not given back: it ends with the goroutine.
		runtime.LockOSThread()
		ended <- func() error {
			ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
			if err != nil {
				return err
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return err
			}
			return f()
		}()
	}()
	return <-ended
}

// listenIn listens at an address in the network of a process.
func listenIn(pid int, address string) (l net.Listener, err error) {
	err = inNetwork(pid, func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	return l, err
}
