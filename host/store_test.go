package host_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/testenv"
)

// A host whose store takes connections and says nothing tells so at once, goes on telling, and can be stopped.
func TestStoreThatSaysNothing(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(testenv.Port(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=waiting", "STORE=redis://"+silent.Addr().String(), "LISTEN=127.0.0.1:"+strconv.Itoa(testenv.Port(t)))
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	log := bufio.NewReader(out)
	for told := 0; told < 2; {
		line, err := log.ReadString('\n')
		if err != nil {
			t.Fatalf("told %d times in %v: %v", told, time.Since(begin), err)
		}
		if strings.Contains(line, "the store has not answered") {
			told++
			if !strings.Contains(line, "waited=") {
				t.Errorf("line %q does not say for how long", line)
			}
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(log)
	err = cmd.Wait()
	if err == nil || !strings.Contains(string(rest), "run host: ") {
		t.Errorf("ended with %v: %s; want an error that says why", err, rest)
	}
}
