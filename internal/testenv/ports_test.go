package testenv

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Processes whose walks cross are given different ports for as long as their tests run.
func TestPortIsGivenOnce(t *testing.T) {
	const processes, each = 4, 50
	if os.Getenv("SKEWGATE_TEST_PORTS") != "" {
		given.Store(int64(-os.Getpid() * 997 % ports)) // every process from the same place
		for range each {
			fmt.Println("port", Port(t))
		}
		fmt.Println("all")
		_, _ = bufio.NewReader(os.Stdin).ReadByte() // until the others have theirs
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	by := map[int]int{}
	for i := range processes {
		child := exec.Command(self, "-test.run=^TestPortIsGivenOnce$")
		child.Env = append(os.Environ(), "SKEWGATE_TEST_PORTS=1")
		child.Stderr = os.Stderr
		in, err := child.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = in.Close() // lets it end
			if err := child.Wait(); err != nil {
				t.Errorf("process %d: %v", i, err)
			}
		})
		lines := bufio.NewScanner(out)
		n := 0
		for lines.Scan() && lines.Text() != "all" {
			var port int
			if _, err := fmt.Sscanf(lines.Text(), "port %d", &port); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			if other, ok := by[port]; ok {
				t.Errorf("port %d was given to processes %d and %d", port, other, i)
			}
			by[port], n = i, n+1
		}
		if n != each {
			t.Errorf("process %d was given %d ports, want %d", i, n, each)
		}
	}
}
