package image

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"pault.ag/go/debian/control"
	"pault.ag/go/debian/deb"
	"pault.ag/go/debian/dependency"
)

// Package is a Debian package of an image.
type Package struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
	Source       string `json:"source"`
	SHA256       string `json:"sha256"`
	Maintainer   string `json:"maintainer"`
	Homepage     string `json:"homepage,omitempty"`
	depends      string
	paragraph    string
}

// always are packages that others depend on for their maintainer scripts alone, which
// no image runs: images are made, not installed.
var always = map[string]bool{
	"debconf": true, "dpkg": true, "init-system-helpers": true, "adduser": true, "ucf": true, "lsb-base": true, "sysvinit-utils": true,
	"passwd": true, "base-files": true, "debianutils": true, "sensible-utils": true, "perl-base": true, "perl": true,
}

// resolve returns the packages and what they depend on, as the machine's apt would
// choose them, without those that the recipe leaves out and those of the images below.
func resolve(ctx context.Context, names []string, without map[string]string, have map[string]bool) ([]Package, error) {
	seen := map[string]bool{}
	var out []Package
	wave := slices.Clone(names)
	for len(wave) > 0 {
		found, err := show(ctx, wave)
		if err != nil {
			return nil, err
		}
		var next []string
		for _, name := range wave {
			p, ok := found[name]
			if !ok {
				if slices.Contains(names, name) {
					return nil, fmt.Errorf("apt knows no package %q: `apt-get update` brings its lists up to date", name)
				}
				return nil, fmt.Errorf("a package depends on %q, and apt does not know it", name)
			}
			seen[name] = true
			out = append(out, p)
		}
		// Alternatives: the first that is there already, or that apt knows.
		var groups [][]string
		for _, name := range wave {
			more, err := dependencies(found[name].depends)
			if err != nil {
				return nil, fmt.Errorf("dependencies of %s: %w", name, err)
			}
			groups = append(groups, more...)
		}
		var candidates []string
		for _, g := range groups {
			candidates = append(candidates, g...)
		}
		slices.Sort(candidates)
		known, err := show(ctx, slices.Compact(candidates))
		if err != nil {
			return nil, err
		}
		skip := func(n string) bool {
			_, w := without[n]
			return w || always[n] || have[n] || seen[n] || slices.Contains(next, n)
		}
		for _, g := range groups {
			if slices.ContainsFunc(g, skip) {
				continue
			}
			i := slices.IndexFunc(g, func(n string) bool { _, ok := known[n]; return ok })
			if i < 0 {
				return nil, fmt.Errorf("nothing provides %s", strings.Join(g, " | "))
			}
			next = append(next, g[i])
		}
		wave = next
	}
	slices.SortFunc(out, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// dependencies returns the names of a Depends field: of each group one is needed.
func dependencies(field string) ([][]string, error) {
	if strings.TrimSpace(field) == "" {
		return nil, nil
	}
	d, err := dependency.Parse(field)
	if err != nil {
		return nil, err
	}
	var out [][]string
	for _, rel := range d.Relations {
		var g []string
		for _, p := range rel.Possibilities {
			g = append(g, p.Name)
		}
		out = append(out, g)
	}
	return out, nil
}

// show asks apt for packages: their candidates, from lists whose signatures it has
// verified.
func show(ctx context.Context, names []string) (map[string]Package, error) {
	out := map[string]Package{}
	if len(names) == 0 {
		return out, nil
	}
	cmd := exec.CommandContext(ctx, "apt-cache", append([]string{"show", "--no-all-versions", "--"}, names...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, errors.New("images with Debian packages are built where apt is: on Debian or a descendant of it")
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) { // it exits with 100 when it knows one of them not
		return nil, fmt.Errorf("apt-cache: %w: %s", err, stderr.String())
	}
	for _, text := range strings.Split(string(b), "\n\n") {
		if strings.TrimSpace(text) == "" {
			continue
		}
		r, err := control.NewParagraphReader(strings.NewReader(text+"\n\n"), nil)
		if err != nil {
			return nil, err
		}
		p, err := r.Next()
		if err != nil {
			return nil, fmt.Errorf("apt-cache: %w", err)
		}
		v := p.Values
		if _, dup := out[v["Package"]]; dup || v["SHA256"] == "" {
			continue
		}
		src, _, _ := strings.Cut(v["Source"], " ")
		if src == "" {
			src = v["Package"]
		}
		out[v["Package"]] = Package{
			Name: v["Package"], Version: v["Version"], Architecture: v["Architecture"], Source: src, SHA256: v["SHA256"],
			Maintainer: v["Maintainer"], Homepage: v["Homepage"], depends: strings.Trim(v["Depends"]+", "+v["Pre-Depends"], ", "),
		}
	}
	return out, nil
}

// fetch brings packages into the cache and returns their files, in order.
func fetch(ctx context.Context, cache string, list []Package) ([]string, error) {
	dir := filepath.Join(cache, "debs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var files, missing []string
	for _, p := range list {
		file := filepath.Join(dir, p.SHA256+".deb")
		files = append(files, file)
		if _, err := os.Stat(file); err != nil {
			missing = append(missing, p.Name+"="+p.Version)
		}
	}
	if len(missing) == 0 {
		return files, nil
	}
	tmp, err := os.MkdirTemp(dir, "fetch-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	// What is not signed by a key that the machine trusts is refused.
	args := []string{"download", "-qq", "-o", "APT::Sandbox::User=root", "-o", "APT::Get::AllowUnauthenticated=false", "--"}
	cmd := exec.CommandContext(ctx, "apt-get", append(args, missing...)...)
	cmd.Dir, cmd.Env = tmp, append(os.Environ(), "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("apt-get download: %w: %s", err, strings.TrimSpace(string(out)))
	}
	got, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil {
		return nil, err
	}
	for _, file := range got {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(b)
		if err := os.Rename(file, filepath.Join(dir, hex.EncodeToString(sum[:])+".deb")); err != nil {
			return nil, err
		}
	}
	for i, file := range files {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("package %s that was fetched is not the one in apt's lists: `apt-get update`, and try again", list[i].Name)
		}
	}
	return files, nil
}

// unwanted are parts of packages that nothing reads at run time.
var unwanted = []string{
	"/usr/share/doc/", "/usr/share/man/", "/usr/share/info/", "/usr/share/lintian/", "/usr/share/bug/", "/usr/share/locale/", "/usr/share/doc-base/",
	"/etc/init.d/", "/etc/cron.d/", "/etc/cron.daily/", "/etc/logrotate.d/", "/etc/default/", "/usr/lib/systemd/", "/usr/share/bash-completion/",
	"/usr/share/apport/", "/etc/pam.d/", "/usr/share/pixmaps/", "/usr/share/applications/", "/usr/include/", "/var/cache/", "/var/log/", "/usr/share/menu/",
}

// unpack adds the files of a package to a tree.
func unpack(t *tree, p Package, file string, keep []string) error {
	d, closer, err := deb.LoadFile(file)
	if err != nil {
		return fmt.Errorf("package %s: %w", p.Name, err)
	}
	defer closer() //nolint:errcheck // a file that was only read
	for {
		h, err := d.Data.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("package %s: %w", p.Name, err)
		}
		name := merged("/" + strings.Trim(strings.TrimPrefix(h.Name, "."), "/"))
		if name == "/" {
			continue
		}
		licence := strings.HasPrefix(name, "/usr/share/doc/") && strings.HasSuffix(name, "/copyright")
		dir := name + "/"
		if !licence && slices.ContainsFunc(unwanted, func(u string) bool { return strings.HasPrefix(dir, u) }) && !slices.ContainsFunc(keep, func(k string) bool { return strings.HasPrefix(dir, k) }) {
			continue
		}
		mode := h.FileInfo().Mode().Perm()
		switch h.Typeflag {
		case tar.TypeDir:
			t.dir(name, uint32(mode), h.Uid, h.Gid)
		case tar.TypeReg:
			b, err := io.ReadAll(d.Data)
			if err != nil {
				return fmt.Errorf("package %s: %s: %w", p.Name, name, err)
			}
			t.file(name, b, uint32(mode))
		case tar.TypeSymlink:
			t.link(name, h.Linkname)
		case tar.TypeLink:
			if err := t.hard(name, merged("/"+strings.Trim(strings.TrimPrefix(h.Linkname, "."), "/"))); err != nil {
				return fmt.Errorf("package %s: %w", p.Name, err)
			}
		}
	}
}

// merged puts what older packages have in /bin, /sbin and /lib where it is on systems
// with a merged /usr; the base image has links to there.
func merged(name string) string {
	for _, d := range []string{"/bin", "/sbin", "/lib", "/lib64"} {
		if name == d || strings.HasPrefix(name, d+"/") {
			return "/usr" + name
		}
	}
	return name
}
