package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// MySQL is a server of a test's own with the database "backoffice", and the user of that
// name with the password "secret".
type MySQL struct {
	*Process
	Port int
}

// StartMySQL starts a MariaDB. The test is skipped where it is not installed.
func StartMySQL(t *testing.T, ca CA) MySQL {
	t.Helper()
	install, err1 := exec.LookPath("mariadb-install-db")
	server, err2 := exec.LookPath("mariadbd")
	if err1 != nil || err2 != nil {
		lacks(t, "needs MariaDB: apt-get install mariadb-server")
	}
	dir := Dir(t, "my")
	data, setup := filepath.Join(dir, "data"), filepath.Join(dir, "setup.sql")
	check(t, os.Mkdir(data, 0o700))
	check(t, os.WriteFile(setup, []byte(`CREATE DATABASE IF NOT EXISTS backoffice;
CREATE USER IF NOT EXISTS 'backoffice'@'%' IDENTIFIED BY 'secret' REQUIRE SSL;
GRANT ALL ON backoffice.* TO 'backoffice'@'%';
`), 0o644))
	attr := as(t, "mysql", dir, data)
	run := func(program string, args ...string) *exec.Cmd {
		cmd := exec.Command(program, append([]string{"--no-defaults", "--datadir=" + data}, args...)...)
		cmd.SysProcAttr, cmd.Dir, cmd.Env = attr, dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
		return cmd
	}
	if out, err := run(install, "--skip-test-db", "--auth-root-authentication-method=normal").CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	port := FreePort(t)
	return MySQL{start(t, run(server, "--bind-address=127.0.0.1", fmt.Sprint("--port=", port), "--socket="+filepath.Join(dir, "sock"),
		"--pid-file="+filepath.Join(dir, "pid"), "--ssl-cert="+ca.Cert, "--ssl-key="+ca.Key, "--init-file="+setup, "--innodb-flush-log-at-trx-commit=0")), port}
}
