package node

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRotating(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "log", "a.log")
	l := &rotating{name: name}
	line := strings.Repeat("x", 1<<20-1) + "\n"
	for range 3 * maxLog / len(line) {
		if _, err := io.WriteString(l, line); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{name, name + ".1"} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > maxLog || info.Size() == 0 || info.Size()%int64(len(line)) != 0 {
			t.Errorf("%s has %d bytes", file, info.Size())
		}
	}
	// One that was opened anew goes on where the last ended.
	l = &rotating{name: name}
	before, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.copy(strings.NewReader("more\n")), l.close()); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(name); err != nil || !bytes.Equal(after, append(before, "more\n"...)) {
		t.Errorf("the log was not gone on with: %v", err)
	}
}

// A log that cannot be written is no reason to stand still.
func TestRotatingFull(t *testing.T) {
	t.Parallel()
	l := &rotating{name: filepath.Join(t.TempDir(), "a.log")}
	if err := os.Mkdir(l.name, 0o700); err != nil {
		t.Fatal(err)
	}
	r := strings.NewReader(strings.Repeat("x", 1<<20))
	var path *fs.PathError
	if err := l.copy(r); !errors.As(err, &path) || r.Len() != 0 {
		t.Errorf("error %v, %d bytes are not read", err, r.Len())
	}
}

func TestParentOf(t *testing.T) {
	t.Parallel()
	if got := parentOf(os.Getpid()); got != os.Getppid() {
		t.Errorf("%d, want %d", got, os.Getppid())
	}
	if got := parentOf(-1); got != 0 {
		t.Errorf("the parent of nobody: %d", got)
	}
	if started(os.Getpid()) == "" || started(-1) != "" {
		t.Errorf("started: %q and %q", started(os.Getpid()), started(-1))
	}
}
