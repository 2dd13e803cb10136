package testenv

import (
	"fmt"
	"net"
	"os/exec"
	"sync"
	"testing"
)

// A port can be listened at as soon as it is given, though children are being started meanwhile.
func TestPortIsFreeAtOnce(t *testing.T) {
	stop := make(chan struct{})
	var forks sync.WaitGroup
	for range 4 {
		forks.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = exec.Command("/bin/true").Run() // only that it is started matters
				}
			}
		})
	}
	defer forks.Wait()
	defer close(stop)
	for range 2000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", Port(t)))
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close() // the next may have it
	}
}
