package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// places are the folders that a pod mounts.
type places struct {
	secrets, tls, data, run string
}

var defaultPlaces = places{secrets: "/etc/strata/secrets", tls: "/etc/strata/tls", data: "/var/lib/strata", run: "/run/strata"}

// ready is a file that is there while the server is ready; it has the service's name.
func (p places) ready() string { return filepath.Join(p.run, "ready") }

func (p places) passwordFile() string { return filepath.Join(p.secrets, "password") }
func (p places) cert() string         { return filepath.Join(p.tls, "tls.crt") }
func (p places) key() string          { return filepath.Join(p.tls, "tls.key") }

// store is the folder that the server keeps its data in. It is within the volume, since
// that may have things of its own in its top folder.
func (p places) store() string { return filepath.Join(p.data, "data") }

// config is what a pod says of its service.
type config struct {
	places
	service    string
	username   string
	database   string
	password   string
	tls        bool
	extensions []string
	queues     []string
	topics     string
	advertise  string
	cors       string
	eviction   string
	versioning bool
	memory     int64
	settings   map[string]string
	// seen is the fingerprint of the mounted files from before they were read, so that no
	// change is missed.
	seen []byte
}

// defaultMemory is planned with where nobody says how much there is.
const defaultMemory = 256 << 20

var (
	plainName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)
	settingName = regexp.MustCompile(`^[a-z][a-z0-9_.]*$`)
	needsStore  = map[string]bool{"postgres": true, "mariadb": true, "rabbitmq": true, "objectstore": true}
)

// readConfig reads the environment and the mounted files. All that is wrong is in the
// error.
func readConfig(service string, p places, environ []string) (*config, error) {
	env := map[string]string{}
	c := &config{places: p, service: service, memory: defaultMemory, settings: map[string]string{}, seen: p.fingerprint()}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
		if set, ok := strings.CutPrefix(name, "STRATA_SET_"); ok {
			if !settingName.MatchString(set) {
				fail("%s: %q is no name of a setting", name, set)
			}
			c.settings[set] = value
		}
	}
	named := func(variable string) string {
		v := env[variable]
		if !plainName.MatchString(v) {
			fail("%s must be a name of letters, digits, '_', '.' and '-', at most 63; it is %q", variable, v)
		}
		return v
	}
	c.username = named("STRATA_USERNAME")
	if needsStore[service] {
		c.database = named("STRATA_DATABASE")
	}
	c.extensions, c.queues = list(env["STRATA_EXTENSIONS"]), list(env["STRATA_QUEUES"])
	c.topics, c.advertise, c.cors, c.eviction = env["STRATA_TOPICS"], env["STRATA_ADVERTISE"], env["STRATA_CORS"], env["STRATA_EVICTION"]
	if m := env["STRATA_MEMORY"]; m != "" {
		n, err := strconv.ParseInt(m, 10, 64)
		if err != nil || n < 16<<20 {
			fail("STRATA_MEMORY must be a number of bytes, at least 16 MiB; it is %q", m)
		}
		c.memory = n
	}
	if v := env["STRATA_VERSIONING"]; v != "" {
		on, err := strconv.ParseBool(v)
		if err != nil {
			fail("STRATA_VERSIONING must be true or false; it is %q", v)
		}
		c.versioning = on
	}
	password, err := os.ReadFile(p.passwordFile())
	if err != nil {
		fail("password of %s: %w", c.username, err)
	}
	if c.password = strings.TrimRight(string(password), "\r\n"); err == nil && c.password == "" {
		fail("%s is empty", p.passwordFile())
	}
	switch _, err := os.Stat(p.cert()); {
	case err == nil:
		c.tls = true
	case !errors.Is(err, fs.ErrNotExist):
		fail("certificate: %w", err)
	}
	return c, errors.Join(errs...)
}

// list splits what is joined by commas.
func list(s string) []string {
	var out []string
	for v := range strings.SplitSeq(s, ",") {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// write writes a generated file, for nobody but this user.
func (c *config) write(name, text string) (string, error) {
	file := filepath.Join(c.run, name)
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return file, os.WriteFile(file, []byte(text), 0o600)
}
