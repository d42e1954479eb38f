package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// captured is a capture of packets that is under way.
type captured struct {
	fd      int
	between [2]netip.Addr
	port    uint16
}

// what a capture came to: how many packets there were, how many of them of TCP between two
// addresses and to or from a port, and how many had a text in them.
type what struct{ all, between, plain int }

// capture captures every packet of the network of a process.
func capture(pid int, between [2]string, port int) (*captured, error) {
	c := &captured{port: uint16(port)}
	for i, a := range between {
		var err error
		if c.between[i], err = netip.ParseAddr(a); err != nil {
			return nil, err
		}
	}
	err := inNetwork(pid, func() (err error) {
		every := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})
		c.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(every))
		return err
	})
	if err != nil {
		return nil, err
	}
	// Nothing is lost while the machine is busy.
	if err := unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20); err != nil {
		return nil, errors.Join(err, unix.Close(c.fd))
	}
	return c, nil
}

// stop ends the capture and says what was in it.
func (c *captured) stop(text string) what {
	defer unix.Close(c.fd)
	// What was sent is in the socket by now, or a moment later.
	time.Sleep(200 * time.Millisecond)
	var w what
	b := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(c.fd, b, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return w
		}
		w.all++
		if c.matches(b[:n]) {
			w.between++
		}
		if bytes.Contains(b[:n], []byte(text)) {
			w.plain++
		}
	}
}

// matches reports whether a frame of Ethernet is one of TCP between the two, with data.
func (c *captured) matches(frame []byte) bool {
	const ethernet = 14
	if len(frame) < ethernet+40 || binary.BigEndian.Uint16(frame[12:]) != unix.ETH_P_IP {
		return false
	}
	ip := frame[ethernet:]
	header := int(ip[0]&0xf) * 4
	if ip[9] != unix.IPPROTO_TCP || len(ip) < header+20 {
		return false
	}
	from, to := netip.AddrFrom4([4]byte(ip[12:16])), netip.AddrFrom4([4]byte(ip[16:20]))
	tcp := ip[header:]
	ports := []uint16{binary.BigEndian.Uint16(tcp), binary.BigEndian.Uint16(tcp[2:])}
	data := int(binary.BigEndian.Uint16(ip[2:])) - header - int(tcp[12]>>4)*4
	return data > 0 && slices.Contains(ports, c.port) && slices.Contains(c.between[:], from) && slices.Contains(c.between[:], to)
}
