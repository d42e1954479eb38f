// Command probe is what pods of the tests of package node run. It answers on ports,
// says over HTTP whether it reaches others, and keeps files. As "probe pause" it is the
// program that holds a pod's namespaces.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	if len(os.Args) > 1 {
		for _, port := range strings.Split(os.Args[1], ",") {
			network, number, _ := strings.Cut(port, ":")
			if network == "udp" {
				go packets(number)
			} else {
				go streams(number)
			}
		}
		go control()
	}
	<-stop
}

// streams answers what it is sent with the same.
func streams(port string) {
	l, err := net.Listen("tcp", ":"+port)
	check(err)
	for {
		c, err := l.Accept()
		check(err)
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	}
}

func packets(port string) {
	c, err := net.ListenPacket("udp", ":"+port)
	check(err)
	b := make([]byte, 1500)
	for {
		n, from, err := c.ReadFrom(b)
		check(err)
		_, _ = c.WriteTo(b[:n], from)
	}
}

var (
	mu   sync.Mutex
	held net.Conn
)

// control is asked by the tests, by way of the API server, which policies let through.
func control() {
	http.HandleFunc("/dial", func(w http.ResponseWriter, r *http.Request) {
		c, err := dial(r)
		if err == nil {
			err = ping(c)
			c.Close()
		}
		say(w, err)
	})
	// hold makes a connection that ping uses from then on.
	http.HandleFunc("/hold", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		c, err := dial(r)
		if err == nil {
			held = c
			err = ping(held)
		}
		say(w, err)
	})
	http.HandleFunc("/ping", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		say(w, ping(held))
	})
	http.HandleFunc("/lookup", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		_, err := net.DefaultResolver.LookupHost(ctx, r.FormValue("name"))
		say(w, err)
	})
	http.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			b, err := io.ReadAll(r.Body)
			if err == nil {
				err = os.WriteFile(r.FormValue("name"), b, 0o600)
			}
			say(w, err)
			return
		}
		b, err := os.ReadFile(r.FormValue("name"))
		if err != nil {
			say(w, err)
			return
		}
		_, _ = w.Write(b)
	})
	check(http.ListenAndServe(":7777", nil))
}

func dial(r *http.Request) (net.Conn, error) {
	return net.DialTimeout(r.FormValue("network"), r.FormValue("address"), time.Second)
}

func ping(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "ping"); err != nil {
		return err
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	if string(b) != "ping" {
		return fmt.Errorf("answer %q", b)
	}
	return nil
}

func say(w http.ResponseWriter, err error) {
	if err != nil {
		_, _ = io.WriteString(w, err.Error())
		return
	}
	_, _ = io.WriteString(w, "ok")
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
