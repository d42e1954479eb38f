package node

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// maxLog is the size at which a log is put aside; one old one is kept.
const maxLog = 16 << 20

// rotating is a log file that does not grow without end.
type rotating struct {
	name string
	f    *os.File
	size int64
}

// bounded opens a log that grows by a line when something is started or ends, and puts
// it aside before where that has happened often.
func bounded(name string) (*os.File, error) {
	if info, err := os.Stat(name); err == nil && info.Size() > maxLog {
		if err := os.Rename(name, name+".1"); err != nil {
			return nil, err
		}
	}
	return logFile(name)
}

func logFile(name string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

// Write implements io.Writer.
func (l *rotating) Write(b []byte) (int, error) {
	if l.f != nil && l.size+int64(len(b)) > maxLog {
		if err := errors.Join(l.close(), os.Rename(l.name, l.name+".1")); err != nil {
			return 0, err
		}
	}
	if l.f == nil {
		f, err := logFile(l.name)
		if err != nil {
			return 0, err
		}
		info, err := f.Stat()
		if err != nil {
			return 0, errors.Join(err, f.Close())
		}
		l.f, l.size = f, info.Size()
	}
	n, err := l.f.Write(b)
	l.size += int64(n)
	return n, err
}

func (l *rotating) close() error {
	if l.f == nil {
		return nil
	}
	f := l.f
	l.f = nil
	return f.Close()
}

// copy writes everything to the log. What cannot be written, because the disk is full,
// is read and lost all the same: its writer must not stand still for it. The first
// error is returned at the end.
func (l *rotating) copy(r io.Reader) error {
	buf := make([]byte, 32<<10)
	var first error
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if _, werr := l.Write(buf[:n]); werr != nil && first == nil {
				first = werr
			}
		}
		if err != nil {
			return first
		}
	}
}
