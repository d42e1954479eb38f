package main

import (
	"context"
	"crypto/sha1" //nolint:gosec // mysql_native_password is what every client speaks
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// mariadb is MariaDB of Debian.
type mariadb struct{}

const (
	mariadbd     = "/usr/sbin/mariadbd"
	mariadbShare = "/usr/share/mysql"
)

func (m mariadb) prepare(ctx context.Context, c *config) (process, error) {
	if err := m.bootstrap(ctx, c); err != nil {
		return process{}, err
	}
	init, err := c.write("init.sql", m.initial(c))
	if err != nil {
		return process{}, err
	}
	set := map[string]string{
		"character_set_server": "utf8mb4", "collation_server": "utf8mb4_unicode_ci", "innodb_buffer_pool_size": fmt.Sprint(c.memory / 4), "performance_schema": "OFF",
	}
	maps.Copy(set, c.settings)
	maps.Copy(set, map[string]string{
		"datadir": c.store(), "tmpdir": "/tmp", "socket": m.socket(c), "pid_file": filepath.Join(c.run, "mariadbd.pid"), "port": "3306", "bind_address": "*",
		"init_file": init, "skip_name_resolve": "ON", "local_infile": "OFF", "symbolic_links": "OFF", "lc_messages_dir": mariadbShare,
		// At 2 each probe would be logged as a client that gave up.
		"log_warnings": "1",
	})
	if c.tls {
		maps.Copy(set, map[string]string{"ssl_cert": c.cert(), "ssl_key": c.key(), "require_secure_transport": "ON", "tls_version": "TLSv1.2,TLSv1.3"})
	}
	argv := []string{mariadbd, "--no-defaults"}
	for _, k := range slices.Sorted(maps.Keys(set)) {
		argv = append(argv, "--"+strings.ReplaceAll(k, "_", "-")+"="+set[k])
	}
	return process{argv: argv, stop: syscall.SIGTERM}, nil
}

func (mariadb) socket(c *config) string { return filepath.Join(c.run, "mariadb.sock") }

// bootstrap makes the system tables where there are none, as mariadb-install-db would. A
// try that was cut off leaves nothing that would be taken for them.
func (mariadb) bootstrap(ctx context.Context, c *config) error {
	_, err := os.Stat(filepath.Join(c.store(), "mysql"))
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	fresh := c.store() + ".new"
	if err := errors.Join(os.RemoveAll(fresh), os.MkdirAll(filepath.Join(fresh, "mysql"), 0o700)); err != nil {
		return err
	}
	// The superuser is who has this user's id in the container; there is no password.
	sql := []string{"CREATE DATABASE IF NOT EXISTS mysql;", "USE mysql;", "SET @auth_root_socket='nonroot';"}
	for _, name := range []string{
		"mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql", "fill_help_tables.sql", "maria_add_gis_sp_bootstrap.sql", "mysql_sys_schema.sql",
	} {
		b, err := os.ReadFile(filepath.Join(mariadbShare, name))
		if err != nil {
			return err
		}
		sql = append(sql, string(b))
	}
	_, err = command(ctx, strings.Join(sql, "\n"), mariadbd, "--no-defaults", "--bootstrap", "--datadir="+fresh, "--tmpdir=/tmp", "--lc-messages-dir="+mariadbShare,
		"--log-warnings=0", "--enforce-storage-engine=", "--max-allowed-packet=8M", "--net-buffer-length=16K", "--skip-name-resolve")
	if err != nil {
		return err
	}
	return os.Rename(fresh, c.store())
}

// initial is run by the server before it takes connections: one statement a line. The
// password is in it as the server keeps it.
func (mariadb) initial(c *config) string {
	once := sha1.Sum([]byte(c.password)) //nolint:gosec // see above
	twice := sha1.Sum(once[:])           //nolint:gosec // see above
	hash := fmt.Sprintf("*%X", twice)
	user := "'" + c.username + "'@'%'"
	db := "`" + c.database + "`"
	return strings.Join([]string{
		"CREATE DATABASE IF NOT EXISTS " + db + ";",
		"CREATE USER IF NOT EXISTS " + user + " IDENTIFIED BY PASSWORD '" + hash + "';",
		"ALTER USER " + user + " IDENTIFIED BY PASSWORD '" + hash + "';",
		// In a name of a database that is granted, '_' stands for any letter.
		"GRANT ALL PRIVILEGES ON `" + strings.ReplaceAll(c.database, "_", `\_`) + "`.* TO " + user + ";",
	}, "\n") + "\n"
}

// provision waits: the server does all of it before it listens.
func (m mariadb) provision(ctx context.Context, c *config) error { return waiting(m.answers(ctx, c)) }

func (m mariadb) answers(ctx context.Context, c *config) error {
	return reachable(ctx, "unix", m.socket(c))
}
