package testenv

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver of database/sql
)

// PostgresServer is a PostgreSQL of a test.
type PostgresServer struct {
	URL string // of the database postgres
	cmd *exec.Cmd
}

// Postgres starts a PostgreSQL without durability and gives it.
func Postgres(t testing.TB) *PostgresServer {
	t.Helper()
	bin := postgresBin(t)
	attr, uid, gid := unprivileged(t)
	dir, err := os.MkdirTemp("", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	data, port := filepath.Join(dir, "data"), Port(t)
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-N", "--no-locale", "-E", "UTF8")
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	var out bytes.Buffer
	cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200")
	cmd.SysProcAttr, cmd.Dir, cmd.Stdout, cmd.Stderr = diesWithTest(attr), dir, &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGINT); _ = cmd.Wait() }) // fast shutdown
	p := &PostgresServer{URL: fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port), cmd: cmd}
	db := p.open(t)
	defer db.Close()
	for end := time.Now().Add(30 * time.Second); db.Ping() != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("postgres does not answer:\n%s", out.String())
		}
	}
	return p
}

func (p *PostgresServer) open(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", p.URL)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// Exec runs a statement in the database postgres.
func (p *PostgresServer) Exec(t testing.TB, statement string) {
	t.Helper()
	db := p.open(t)
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// postgresBin finds the newest server binaries.
func postgresBin(t testing.TB) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // the pattern is fine
	if len(found) == 0 {
		if path, err := exec.LookPath("postgres"); err == nil {
			return filepath.Dir(path)
		}
		t.Fatal("no PostgreSQL server is installed: apt-get install postgresql")
	}
	return filepath.Dir(found[len(found)-1])
}

// unprivileged says as whom to run a server that refuses to run as root.
func unprivileged(t testing.TB) (attr *syscall.SysProcAttr, uid, gid int) {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil, os.Geteuid(), os.Getegid()
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("PostgreSQL does not run as root, and there is no user postgres: %v", err)
	}
	uid, _ = strconv.Atoi(u.Uid)
	gid, _ = strconv.Atoi(u.Gid)
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, uid, gid //nolint:gosec // ids are small
}
