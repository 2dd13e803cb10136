package testenv

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver of database/sql
)

// PostgresServer is a PostgreSQL of a test.
type PostgresServer struct {
	URL  string // of the database postgres
	Addr string // 127.0.0.1:port

	t    testing.TB
	dir  string
	argv []string
	attr *syscall.SysProcAttr
	cmd  *exec.Cmd
	out  *bytes.Buffer
}

// Postgres starts a PostgreSQL and gives it. It does not sync to disk: what it
// has acknowledged survives the death of its processes, not that of the machine.
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
	p := &PostgresServer{
		URL:  PostgresURL(fmt.Sprintf("127.0.0.1:%d", port)),
		Addr: fmt.Sprintf("127.0.0.1:%d", port), t: t, dir: dir, attr: attr,
		argv: []string{
			filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1",
			"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200",
		},
	}
	p.Start()
	return p
}

// PostgresURL is the URL of the database postgres of a server of ours that is reached at addr.
func PostgresURL(addr string) string {
	return "postgres://postgres@" + addr + "/postgres?sslmode=disable"
}

// Start starts it (again, after Kill), and waits until it answers.
func (p *PostgresServer) Start() {
	p.t.Helper()
	p.out = new(bytes.Buffer)
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.SysProcAttr, cmd.Dir, cmd.Stdout, cmd.Stderr = diesWithTest(p.attr), p.dir, p.out, p.out
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.cmd = cmd
	p.t.Cleanup(func() { p.Resume(); _ = cmd.Process.Signal(syscall.SIGINT); _ = cmd.Wait() }) // fast shutdown
	db := p.open(p.t)
	defer db.Close()
	for end := time.Now().Add(30 * time.Second); db.Ping() != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("postgres does not answer:\n%s", p.out.String())
		}
	}
}

// Kill ends it and all of its backends at once, and waits until all are gone:
// memory that a backend still shares would keep the next one from starting.
func (p *PostgresServer) Kill() {
	all := p.signal(syscall.SIGSTOP) // so that none is forked meanwhile
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = p.cmd.Wait()
	for end := time.Now().Add(30 * time.Second); slices.ContainsFunc(all, alive); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("processes of postgres did not end: %v", all)
		}
	}
}

// Pause stops all of its processes where they stand, Resume lets them go on.
func (p *PostgresServer) Pause()  { p.signal(syscall.SIGSTOP) }
func (p *PostgresServer) Resume() { p.signal(syscall.SIGCONT) }

// signal sends a signal to the server, then to what it has forked, and gives them all.
func (p *PostgresServer) signal(s syscall.Signal) []int {
	all := []int{p.cmd.Process.Pid}
	_ = p.cmd.Process.Signal(s) // it may be gone
	for _, pid := range children(all[0]) {
		_ = syscall.Kill(pid, s)
		all = append(all, pid)
	}
	return all
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
