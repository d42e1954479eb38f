package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"pault.ag/go/debian/control"
	"pault.ag/go/debian/dependency"
)

// Package is a Debian package of an image.
type Package struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
	Source       string `json:"source"`
	// SourceVersion differs from Version where one source makes packages of several versions.
	SourceVersion string `json:"sourceVersion"`
	SHA256        string `json:"sha256"`
	Maintainer    string `json:"maintainer"`
	Homepage      string `json:"homepage,omitempty"`
	// Distro is the distribution that the package is of, such as debian-12.
	Distro  string `json:"distro"`
	depends string
}

// scriptsOnly are packages that others depend on for their maintainer scripts alone, which
// no image runs: images are made, not installed.
var scriptsOnly = map[string]bool{
	"debconf": true, "dpkg": true, "init-system-helpers": true, "adduser": true, "ucf": true, "lsb-base": true, "sysvinit-utils": true,
	"passwd": true, "base-files": true, "debianutils": true, "sensible-utils": true, "perl-base": true, "perl": true,
}

// resolve asks apt what a recipe's packages are. The answer is kept for as long as
// apt's lists are the same. Without mayAsk it is the kept answer, or fs.ErrNotExist.
func (b *Builder) resolve(ctx context.Context, r *Recipe, have map[string]bool, mayAsk bool) ([]Package, error) {
	if len(r.Spec.Packages) == 0 {
		return nil, nil
	}
	if mayAsk {
		if err := b.needLists(ctx); err != nil {
			return nil, err
		}
	}
	key := sha256.New()
	if err := json.NewEncoder(key).Encode([]any{version, r.Spec.Packages, r.Spec.Without, slices.Sorted(maps.Keys(have)), stampOf(b.lists()), distribution()}); err != nil {
		return nil, err
	}
	file := filepath.Join(b.Cache, "resolved", hex.EncodeToString(key.Sum(nil))+".json")
	data, err := os.ReadFile(file)
	if err == nil {
		var list []Package
		if err := json.Unmarshal(data, &list); err == nil {
			return list, nil
		}
	}
	if !mayAsk {
		return nil, fmt.Errorf("what its packages are was not asked yet: %w", fs.ErrNotExist)
	}
	b.note("%s: asking apt for packages", r.Metadata.Name)
	// Parsed once, the lists answer many times as fast.
	if _, err := b.apt(ctx, "", b.lists(), "apt-cache", "gencaches", "-q"); err != nil {
		return nil, err
	}
	q := &query{builder: b, known: map[string]*Package{}, without: r.Spec.Without, have: have, distro: distribution()}
	list, err := q.closure(ctx, r.Spec.Packages)
	if err != nil {
		return nil, err
	}
	if data, err = json.Marshal(list); err != nil {
		return nil, err
	}
	return list, replace(file, data)
}

// query is a question for packages and what they depend on.
type query struct {
	builder *Builder
	known   map[string]*Package // nil for a name that apt does not know
	without map[string]string
	have    map[string]bool
	distro  string
}

// closure returns the packages and what they depend on, as the machine's apt would
// choose them, without those that the recipe leaves out and those of the images below.
func (q *query) closure(ctx context.Context, names []string) ([]Package, error) {
	taken := map[string]bool{}
	var out []Package
	for wave := slices.Clone(names); len(wave) > 0; {
		if err := q.ask(ctx, wave); err != nil {
			return nil, err
		}
		var groups [][]string
		for _, name := range wave {
			p := q.known[name]
			if p == nil {
				return nil, fmt.Errorf("apt knows no package %q: correct its name, or bring the lists up to date with `strata image build --update`", name)
			}
			taken[name] = true
			out = append(out, *p)
			more, err := dependencies(p.depends)
			if err != nil {
				return nil, fmt.Errorf("dependencies of package %s: %w", name, err)
			}
			groups = append(groups, more...)
		}
		var err error
		if wave, err = q.choose(ctx, groups, taken); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// choose takes one package of each group of alternatives: the one that is there
// already, or the first that apt knows.
func (q *query) choose(ctx context.Context, groups [][]string, taken map[string]bool) ([]string, error) {
	if err := q.ask(ctx, slices.Concat(groups...)); err != nil {
		return nil, err
	}
	var next []string
	settled := func(n string) bool {
		_, left := q.without[n]
		return left || scriptsOnly[n] || q.have[n] || taken[n] || slices.Contains(next, n)
	}
	for _, g := range groups {
		if slices.ContainsFunc(g, settled) {
			continue
		}
		i := slices.IndexFunc(g, func(n string) bool { return q.known[n] != nil })
		if i < 0 {
			return nil, fmt.Errorf("no package provides %s: name one in spec.packages that does, or leave it out in spec.without", strings.Join(g, " or "))
		}
		next = append(next, g[i])
	}
	return next, nil
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

// ask makes packages known: apt's candidates, from lists whose signatures it has
// verified.
func (q *query) ask(ctx context.Context, names []string) error {
	var fresh []string
	for _, n := range names {
		if _, asked := q.known[n]; !asked {
			q.known[n] = nil
			fresh = append(fresh, n)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	text, err := q.builder.apt(ctx, "", q.builder.lists(), "apt-cache", append([]string{"show", "--no-all-versions", "--"}, fresh...)...)
	// It fails when it does not know one of them, and tells of the others.
	if err != nil && !strings.Contains(err.Error(), "Unable to locate package") && !strings.Contains(err.Error(), "No packages found") {
		return err
	}
	for part := range strings.SplitSeq(text, "\n\n") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		r, err := control.NewParagraphReader(strings.NewReader(part+"\n\n"), nil)
		if err != nil {
			return err
		}
		p, err := r.Next()
		if err != nil {
			return fmt.Errorf("apt-cache: %w", err)
		}
		v := p.Values
		if q.known[v["Package"]] != nil || v["SHA256"] == "" {
			continue
		}
		src, srcVersion, _ := strings.Cut(v["Source"], " ")
		if src == "" {
			src = v["Package"]
		}
		if srcVersion = strings.Trim(srcVersion, "()"); srcVersion == "" {
			srcVersion = v["Version"]
		}
		q.known[v["Package"]] = &Package{
			Name: v["Package"], Version: v["Version"], Architecture: v["Architecture"], Source: src, SourceVersion: srcVersion, SHA256: v["SHA256"],
			Maintainer: v["Maintainer"], Homepage: v["Homepage"], Distro: q.distro, depends: strings.Trim(v["Depends"]+", "+v["Pre-Depends"], ", "),
		}
	}
	return nil
}

// fetch brings packages into the cache and returns their files, in order.
func (b *Builder) fetch(ctx context.Context, image string, list []Package) ([]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	dir := filepath.Join(b.Cache, "debs")
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
	b.note("%s: downloading %d Debian packages", image, len(missing))
	// What is not signed by a key that the machine trusts is refused.
	if _, err := b.apt(ctx, tmp, b.lists(), "apt-get", append([]string{"download", "-qq", "--"}, missing...)...); err != nil {
		if strings.Contains(err.Error(), "404") {
			err = fmt.Errorf("%w: %w", errGone, err)
		}
		return nil, fmt.Errorf("download Debian packages: %w", err)
	}
	got, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil {
		return nil, err
	}
	for _, file := range got {
		sum, err := fileSum(file)
		if err != nil {
			return nil, err
		}
		if err := os.Rename(file, filepath.Join(dir, sum+".deb")); err != nil {
			return nil, err
		}
	}
	for i, file := range files {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("package %s that was downloaded is not the one that apt's lists name: %w", list[i].Name, errGone)
		}
	}
	return files, nil
}

// unwanted are parts of packages that nothing reads at run time.
var unwanted = []string{
	"/usr/share/doc", "/usr/share/man", "/usr/share/info", "/usr/share/lintian", "/usr/share/bug", "/usr/share/locale", "/usr/share/doc-base",
	"/etc/init.d", "/etc/cron.d", "/etc/cron.daily", "/etc/logrotate.d", "/etc/default", "/usr/lib/systemd", "/usr/share/bash-completion",
	"/usr/share/apport", "/etc/pam.d", "/usr/share/pixmaps", "/usr/share/applications", "/usr/include", "/var/cache", "/var/log", "/usr/share/menu",
}

// unpack adds the files of a package to a tree. dpkg, which is where apt is, is several
// times as fast at it as what there is in Go.
func unpack(ctx context.Context, t *tree, p Package, file string, s *Spec) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("package %s: %w", p.Name, err)
	}
	err = t.add(tar.NewReader(out), s)
	if err == nil {
		_, err = io.Copy(io.Discard, out) // the padding behind the archive's end
	}
	if err = errors.Join(err, cmd.Wait()); err != nil {
		return fmt.Errorf("package %s: %w: %s", p.Name, err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

// add adds the files of an archive that the recipe wants.
func (t *tree) add(archive *tar.Reader, s *Spec) error {
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := merged("/" + strings.Trim(strings.TrimPrefix(h.Name, "."), "/"))
		if name == "/" || !s.wants(name) {
			continue
		}
		mode := uint32(h.FileInfo().Mode().Perm())
		switch h.Typeflag {
		case tar.TypeDir:
			t.dir(name, mode, h.Uid, h.Gid)
		case tar.TypeReg:
			b, err := io.ReadAll(archive)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			t.file(name, b, mode)
		case tar.TypeSymlink:
			t.link(name, h.Linkname)
		case tar.TypeLink:
			if err := t.hard(name, merged("/"+strings.Trim(strings.TrimPrefix(h.Linkname, "."), "/"))); err != nil {
				return err
			}
		}
	}
}

// wants says whether a package's file comes into the image.
func (s *Spec) wants(name string) bool {
	licence, _ := path.Match("/usr/share/doc/*/copyright", name)
	return licence || within(s.Keep, name) || !within(s.Drop, name) && !within(unwanted, name)
}

// within says whether one of the patterns is of the file or of a folder that it is in.
func within(patterns []string, name string) bool {
	for ; name != "/"; name = path.Dir(name) {
		if slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, name); return ok }) {
			return true
		}
	}
	return false
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
