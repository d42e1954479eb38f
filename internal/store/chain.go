package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// TimeFormat is how times are kept and hashed: UTC, to the microsecond.
const TimeFormat = "2006-01-02T15:04:05.000000Z"

// HashEvent returns the hash of a line of a journal that follows one with the hash
// previous ("" for the first): SHA-256 over both, in hexadecimal.
func HashEvent(previous string, e Event) (string, error) {
	return chain(previous, e.Run, strconv.FormatInt(e.Seq, 10), stamp(e.At), e.Unit.String(), e.Type, e.Data)
}

// HashEntry returns the hash of a line of the audit trail, as HashEvent does.
func HashEntry(previous string, e Entry) (string, error) {
	return chain(previous, strconv.FormatInt(e.Seq, 10), stamp(e.At), e.Who, e.Host, e.Action, e.Environment, e.Subject, e.Data)
}

func stamp(t time.Time) string { return t.UTC().Format(TimeFormat) }

// chain hashes fields with their lengths, so that no text can pass for another
// split of the same bytes. JSON is compacted first: databases may reformat it.
func chain(previous string, fields ...any) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%d:%s", len(previous), previous)
	for _, f := range fields {
		var b []byte
		switch f := f.(type) {
		case string:
			b = []byte(f)
		case json.RawMessage:
			var c bytes.Buffer
			if len(f) > 0 {
				if err := json.Compact(&c, f); err != nil {
					return "", fmt.Errorf("data of a line: %w", err)
				}
			}
			b = c.Bytes()
		}
		fmt.Fprintf(h, "%d:", len(b))
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// ProcessStart returns when a process of this machine started, in clock ticks since
// boot, or 0 if there is none or the system does not say. With the process's
// number it names the process for good.
func ProcessStart(pid int) int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// The second field is a name in parentheses that may hold anything.
	_, rest, ok := strings.Cut(string(b[bytes.LastIndexByte(b, ')')+1:]), " ")
	fields := strings.Fields(rest)
	const start = 19 // field 22 of proc(5), counted after the name
	if !ok || len(fields) <= start {
		return 0
	}
	n, err := strconv.ParseInt(fields[start], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Alive reports whether the process that holds a lock is there, and whether that
// can be told at all: only of a process of this machine.
func Alive(l Lock, host string) (alive, known bool) {
	if l.Host != host || l.PID <= 0 {
		return false, false
	}
	if err := syscall.Kill(l.PID, 0); errors.Is(err, syscall.ESRCH) {
		return false, true
	}
	now := ProcessStart(l.PID)
	if l.ProcessStart == 0 || now == 0 {
		return true, true
	}
	return now == l.ProcessStart, true
}
