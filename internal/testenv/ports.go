// Package testenv starts the real servers that tests run against. A server
// that is not installed fails the test and says what to install; nothing is
// ever skipped. Everything started ends with the test.
package testenv

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Ports are below the range from which the kernel takes those of outgoing connections.
const (
	firstPort = 20000
	ports     = 12000
)

var given atomic.Int64

// Port gives a free TCP port on 127.0.0.1 below 32768, which is the caller's
// until its test ends. Several test processes run at the same time, and a
// server starts after this call: so the UDP port of the same number, which
// none of the servers wants, is kept bound meanwhile and is what says "taken"
// to the others. Whether a stranger listens there is found by asking: a
// listener of our own, opened and closed, might be open yet in a child that is just being started.
func Port(t testing.TB) int {
	t.Helper()
	for range ports {
		port := firstPort + (os.Getpid()*997+int(given.Add(1)))%ports
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		taken, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil || !errors.Is(err, syscall.ECONNREFUSED) {
			if err == nil {
				_ = c.Close() // nothing was sent on it
			}
			_ = taken.Close() // nothing came on it
			continue
		}
		t.Cleanup(func() { _ = taken.Close() })
		return port
	}
	t.Fatalf("no free port from %d to %d on 127.0.0.1", firstPort, firstPort+ports-1)
	return 0
}
