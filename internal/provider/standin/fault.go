package standin

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// Fault is something that goes wrong with an object, for tests.
type Fault struct {
	// Type and Op (create, update, delete or read) say with which; empty means any.
	Type, Op string
	// Nth is the call at which it happens, counted over all processes from 1; 0
	// means each.
	Nth int
	// Do is what happens: "crash" (before anything is done), "lose" (it is done,
	// and the answer is lost in a crash), "hang", "error" or "sleep".
	Do string
	// Text is the error's text, or the duration of a sleep.
	Text string
}

// ParseFault reads a fault such as "type=aws_db_instance,op=create,nth=1,do=error:No
// more".
func ParseFault(s string) (Fault, error) {
	var f Fault
	for s != "" {
		var pair string
		if strings.HasPrefix(s, "do=") {
			pair, s = s, "" // its text may hold commas
		} else {
			pair, s, _ = strings.Cut(s, ",")
		}
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return f, fmt.Errorf("fault: %q is not NAME=VALUE", pair)
		}
		switch name {
		case "type":
			f.Type = value
		case "op":
			f.Op = value
		case "nth":
			n, err := strconv.Atoi(value)
			if err != nil {
				return f, fmt.Errorf("fault: nth: %w", err)
			}
			f.Nth = n
		case "do":
			f.Do, f.Text, _ = strings.Cut(value, ":")
		default:
			return f, fmt.Errorf("fault: %q is none of type, op, nth, do", name)
		}
	}
	switch f.Do {
	case "crash", "lose", "hang", "error":
		return f, nil
	case "sleep":
		_, err := time.ParseDuration(f.Text)
		return f, err
	}
	return f, fmt.Errorf("fault: do is none of crash, lose, hang, error, sleep")
}

// fault is the fault that is due for a call; the zero Fault is none.
func (s *Server) fault(typ, op string) Fault {
	for i, f := range s.faults {
		if f.Type != "" && f.Type != typ || f.Op != "" && f.Op != op {
			continue
		}
		if f.Nth == 0 || s.count(i) == f.Nth {
			return f
		}
	}
	return Fault{}
}

// count counts calls over all processes: each appends a byte to a file.
func (s *Server) count(i int) int {
	if s.cloud == nil {
		return 0
	}
	if err := os.MkdirAll(s.cloud.dir, 0o700); err != nil {
		return 0
	}
	f, err := os.OpenFile(filepath.Join(s.cloud.dir, fmt.Sprintf("fault-%d.count", i)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0
	}
	defer f.Close()
	if _, err := f.Write([]byte{'.'}); err != nil {
		return 0
	}
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	return int(info.Size())
}

func (f Fault) before() []*tfprotov6.Diagnostic {
	switch f.Do {
	case "crash":
		die()
	case "hang":
		select {}
	case "sleep":
		if d, err := time.ParseDuration(f.Text); err == nil {
			time.Sleep(d)
		}
	case "error":
		return problem(f.Text, "A fault that a test asked for.")
	}
	return nil
}

func (f Fault) after() {
	if f.Do == "lose" {
		die()
	}
}

// die ends the process as a crash does.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
