package rig

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Ports are below the range from which the kernel takes those of outgoing connections.
const (
	firstPort = 20000
	ports     = 12000
)

// taken are the marks of the ports that this process has given out.
var taken struct {
	mu    sync.Mutex
	tries int
	marks []net.PacketConn
}

// FreeAddr gives an address on the loopback interface where nobody listens,
// the caller's until this process ends. Others look for ports at the same time, and a server
// starts after this call: as in the tests (internal/testenv), the bound UDP port of the same number says "taken" to them.
func FreeAddr() (string, error) {
	taken.mu.Lock()
	defer taken.mu.Unlock()
	for range ports {
		taken.tries++
		addr := fmt.Sprintf("127.0.0.1:%d", firstPort+(os.Getpid()*997+taken.tries)%ports)
		mark, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			_ = c.Close() // nothing was sent on it
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			_ = mark.Close() // nothing came on it
			continue
		}
		taken.marks = append(taken.marks, mark)
		return addr, nil
	}
	return "", fmt.Errorf("no free port from %d to %d on 127.0.0.1", firstPort, firstPort+ports-1)
}
