package main

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// postgres is PostgreSQL of Debian.
type postgres struct{}

const (
	postgresMajor = "15"
	postgresBin   = "/usr/lib/postgresql/" + postgresMajor + "/bin/"
)

func (postgres) prepare(ctx context.Context, c *config) (process, error) {
	if err := initdb(ctx, c); err != nil {
		return process{}, err
	}
	// With the volume's lock in hand, what a killed server left behind is rubbish.
	if err := os.Remove(filepath.Join(c.store(), "postmaster.pid")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return process{}, err
	}
	// The superuser has no password: it is whoever is in the container.
	host := "host"
	if c.tls {
		host = "hostssl"
	}
	hba, err := c.write("pg_hba.conf", "local all postgres peer map=strata\n"+host+" all all all scram-sha-256\n")
	if err != nil {
		return process{}, err
	}
	ident, err := c.write("pg_ident.conf", "strata nonroot postgres\n")
	if err != nil {
		return process{}, err
	}
	set := maps.Clone(c.settings)
	maps.Copy(set, map[string]string{
		"listen_addresses": "*", "port": "5432", "unix_socket_directories": c.run, "hba_file": hba, "ident_file": ident,
		"password_encryption": "scram-sha-256", "logging_collector": "off", "log_destination": "stderr", "jit": "off", "ssl": "off",
	})
	defaults := map[string]string{
		"shared_buffers": fmt.Sprintf("%dkB", c.memory/4/1024), "effective_cache_size": fmt.Sprintf("%dkB", c.memory*3/4/1024),
		"maintenance_work_mem": fmt.Sprintf("%dkB", max(c.memory/16/1024, 1024)), "max_wal_size": "256MB",
	}
	if slices.Contains(c.extensions, "pg_stat_statements") {
		defaults["shared_preload_libraries"] = "pg_stat_statements"
	}
	for k, v := range defaults {
		if set[k] == "" {
			set[k] = v
		}
	}
	if c.tls {
		// It insists on a key that nobody else can read, which a mounted secret is not.
		key, err := os.ReadFile(c.key())
		if err != nil {
			return process{}, err
		}
		if set["ssl_key_file"], err = c.write("tls.key", string(key)); err != nil {
			return process{}, err
		}
		set["ssl"], set["ssl_cert_file"], set["ssl_min_protocol_version"] = "on", c.cert(), "TLSv1.2"
	}
	argv := []string{postgresBin + "postgres", "-D", c.store()}
	for _, k := range slices.Sorted(maps.Keys(set)) {
		argv = append(argv, "-c", k+"="+set[k])
	}
	return process{argv: argv, stop: syscall.SIGINT}, nil
}

// initdb makes the database cluster where there is none. A try that was cut off leaves
// nothing that would be taken for one.
func initdb(ctx context.Context, c *config) error {
	version, err := os.ReadFile(filepath.Join(c.store(), "PG_VERSION"))
	if err == nil {
		if v := strings.TrimSpace(string(version)); v != postgresMajor {
			return fmt.Errorf("the data in %s is of PostgreSQL %s and this is %s: dump it with that version, and restore it into an empty volume", c.store(), v, postgresMajor)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	fresh := c.store() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	_, err = command(ctx, "", postgresBin+"initdb", "--pgdata", fresh, "--username", "postgres", "--encoding", "UTF8", "--locale", "C.UTF-8",
		"--data-checksums", "--auth-local", "peer", "--auth-host", "scram-sha-256", "--no-instructions", "--no-sync")
	if err != nil {
		return err
	}
	if _, err := command(ctx, "", postgresBin+"initdb", "--sync-only", "--pgdata", fresh); err != nil {
		return err
	}
	return os.Rename(fresh, c.store())
}

func (postgres) provision(ctx context.Context, c *config) error {
	verifier, err := scram(c.password)
	if err != nil {
		return err
	}
	user, db := ident(c.username), ident(c.database)
	var sql strings.Builder
	fmt.Fprintf(&sql, "SELECT format('CREATE ROLE %%I', %[1]s) WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = %[1]s) \\gexec\n", literal(c.username))
	fmt.Fprintf(&sql, "ALTER ROLE %s WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD %s;\n", user, literal(verifier))
	fmt.Fprintf(&sql, "SELECT format('CREATE DATABASE %%I OWNER %%I', %[1]s, %[2]s) WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = %[1]s) \\gexec\n", literal(c.database), literal(c.username))
	fmt.Fprintf(&sql, "ALTER DATABASE %s OWNER TO %s;\n", db, user)
	fmt.Fprintf(&sql, "REVOKE ALL ON DATABASE %s, postgres, template1 FROM PUBLIC;\n", db)
	fmt.Fprintf(&sql, "\\connect %s\n", db)
	for _, e := range c.extensions {
		fmt.Fprintf(&sql, "CREATE EXTENSION IF NOT EXISTS %s CASCADE;\n", ident(e))
	}
	_, err = command(ctx, sql.String(), postgresBin+"psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1",
		"--host", c.run, "--username", "postgres", "--dbname", "postgres", "--file", "-")
	var exit *exec.ExitError
	const cannotConnect = 2 // psql's
	if errors.As(err, &exit) && exit.ExitCode() == cannotConnect {
		return fmt.Errorf("%w: %w", errWait, err)
	}
	return err
}

func (postgres) answers(ctx context.Context, c *config) error {
	_, err := command(ctx, "", postgresBin+"pg_isready", "--quiet", "--host", c.run, "--username", "postgres", "--dbname", "postgres")
	return err
}

// ident quotes a name for SQL, literal a text.
func ident(s string) string   { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// scram returns what Postgres keeps of a password (RFC 5803), so that the password
// itself is in no statement and in no log.
func scram(password string) (string, error) {
	const iterations = 4096
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	mac := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(stored[:]), b64(mac("Server Key"))), nil
}
