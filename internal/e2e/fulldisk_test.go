package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stratahq/strata/internal/needs"
)

// TestFullDisk fills the disk that Strata works on at several points of an apply, while
// the cloud, which is elsewhere, goes on; with more room the next apply ends where an
// uninterrupted one does.
func TestFullDisk(t *testing.T) {
	bin := tools(t)
	_, want := uninterrupted(t, bin)
	all := want.made()
	const points = 4
	stopped := 0
	for i := range points {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			w := newWorld(t, bin, "testdata/repo")
			disk := smallDisk(w)
			s := w.start(1 + i*(all-2)/points)
			hog := fill(t, filepath.Join(disk, "hog"))
			<-s.ended
			if s.cmd.ProcessState.ExitCode() == 1 {
				stopped++
				saysFull(t, s.out.String())
			}
			if err := os.Remove(hog); err != nil {
				t.Fatal(err)
			}
			w.recovered(want)
		})
	}
	if stopped < points/2 && !t.Failed() && os.Getuid() == 0 {
		t.Errorf("%d applies of %d met the full disk", stopped, points)
	}
}

// TestNoRoom has no room on the disk from the beginning: nothing is touched.
func TestNoRoom(t *testing.T) {
	bin := tools(t)
	_, want := uninterrupted(t, bin)
	w := newWorld(t, bin, "testdata/repo")
	disk := smallDisk(w)
	if err := unix.Mount("none", disk, "tmpfs", unix.MS_REMOUNT, "size=1m"); err != nil {
		t.Fatal(err)
	}
	saysFull(t, w.must(1, "apply", "dev", "--offline", "--yes"))
	if n := len(w.cloud()); n > 0 {
		t.Errorf("%d objects were made", n)
	}
	if err := unix.Mount("none", disk, "tmpfs", unix.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	w.recovered(want)
}

// smallDisk gives the folder that Strata works in a disk of its own, without what plays
// the cloud and the cluster, and returns where that is.
func smallDisk(w *world) string {
	w.t.Helper()
	mount := func(what, dir, kind string, flags uintptr, options string) {
		w.t.Helper()
		if err := os.MkdirAll(dir, 0o700); err != nil {
			w.t.Fatal(err)
		}
		err := unix.Mount(what, dir, kind, flags, options)
		if errors.Is(err, unix.EPERM) {
			needs.Skip(w.t, "needs root, to mount a small disk; CI runs as root")
		}
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	}
	disk := filepath.Join(w.dir, ".strata")
	mount("none", disk, "tmpfs", 0, "size=64m")
	for _, dir := range []string{"cloud", "cluster"} {
		mount(w.t.TempDir(), w.offline(dir), "", unix.MS_BIND, "")
	}
	return disk
}

// fill writes a file until the disk that it is on is full, and returns its name.
func fill(t *testing.T, name string) string {
	t.Helper()
	hog, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer hog.Close()
	for page := make([]byte, os.Getpagesize()); err == nil; {
		_, err = hog.Write(page)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	return name
}

func saysFull(t *testing.T, out string) {
	t.Helper()
	if flat := strings.Join(strings.Fields(out), " "); !strings.Contains(flat, "no space left") && !strings.Contains(flat, "full") {
		t.Errorf("does not say that the disk is full:\n%s", out)
	}
}
