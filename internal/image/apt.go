package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// errGone says that an archive no longer has what the lists name.
var errGone = errors.New("the archive does not have it")

var errNoApt = errors.New("images with Debian packages are built where apt is: on Debian or a descendant of it")

// systemLists is where the machine's apt keeps its lists of packages.
const systemLists = "/var/lib/apt/lists"

// lists returns the folder with the lists of packages to use: the cache's own, which
// somebody asked for, or the machine's; "" where there are none.
func (b *Builder) lists() string {
	for _, dir := range []string{b.ownLists(), systemLists} {
		if stampOf(dir) != "" {
			return dir
		}
	}
	return ""
}

func (b *Builder) ownLists() string { return filepath.Join(b.Cache, "apt", "lists") }

// stampOf changes when the lists in a folder do; it is empty where there are none.
func stampOf(dir string) string {
	var out strings.Builder
	files, _ := filepath.Glob(filepath.Join(dir, "*_Packages*"))
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			fmt.Fprintf(&out, "%s %d %d\n", filepath.Base(f), info.Size(), info.ModTime().UnixNano())
		}
	}
	return out.String()
}

// UpdateLists brings lists of packages of the machine's apt sources into the cache.
// Builds go by them from then on.
func (b *Builder) UpdateLists(ctx context.Context) error {
	b.note("updating apt's lists of packages")
	_, err := b.apt(ctx, "", b.ownLists(), "apt-get", "update", "-qq", "-o", "APT::Update::Error-Mode=any")
	if err != nil {
		return fmt.Errorf("lists of Debian packages: %w", err)
	}
	if stampOf(b.ownLists()) == "" {
		return errors.New("the machine's apt sources name no packages: see /etc/apt/sources.list and /etc/apt/sources.list.d")
	}
	return nil
}

// needLists updates the lists where the machine has none, as in a container that was
// made small.
func (b *Builder) needLists(ctx context.Context) error {
	if b.lists() != "" {
		return nil
	}
	return b.UpdateLists(ctx)
}

// apt runs a program of apt's with the machine's sources and keys, and lists from the
// given folder, in a working folder. What is installed on the machine does not matter
// to it, and it changes nothing on the machine.
func (b *Builder) apt(ctx context.Context, workDir, lists, program string, args ...string) (string, error) {
	own := filepath.Join(b.Cache, "apt")
	for _, dir := range []string{filepath.Join(b.ownLists(), "partial"), filepath.Join(own, "cache", "archives", "partial")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
	}
	// apt's own cache of parsed lists, and its lists, are for one process at a time.
	unlock, err := lock(filepath.Join(own, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	settings := []string{
		"-o", "Dir::Cache=" + filepath.Join(own, "cache"), "-o", "Dir::Cache::pkgcache=pkgcache.bin", "-o", "Dir::Cache::srcpkgcache=",
		"-o", "Dir::State::lists=" + lists, "-o", "Dir::State::status=/dev/null",
		"-o", "APT::Sandbox::User=root", "-o", "APT::Get::AllowUnauthenticated=false", "-o", "Acquire::Retries=2",
	}
	cmd := exec.CommandContext(ctx, program, append(settings, args...)...)
	cmd.Dir = workDir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errNoApt
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return stdout.String(), fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// lock waits for the lock on a file.
func lock(file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "lock", Path: file, Err: err}, f.Close())
	}
	return func() { f.Close() }, nil
}

// distribution names the distribution of the machine, and thereby of what its apt has:
// debian-12.
func distribution() string {
	b, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "debian"
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(b)) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		fields[k] = strings.Trim(v, `"'`)
	}
	return strings.Trim(fields["ID"]+"-"+fields["VERSION_ID"], "-")
}
