// Package testenv starts the real servers that tests run against. A server
// that is not installed fails the test and says what to install; nothing is
// ever skipped. Everything started ends with the test.
package testenv

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"
)

// Ports are below the range from which the kernel takes those of outgoing connections.
const (
	firstPort = 20000
	ports     = 12000
)

var given atomic.Int64

// Port gives a free TCP port on 127.0.0.1 below 32768. Each test process walks
// through the ports from a place of its own and gives none twice in a row, so
// that two that run at the same time do not find the same one free between
// this call and the server's start.
func Port(t testing.TB) int {
	t.Helper()
	for range ports {
		port := firstPort + (os.Getpid()*997+int(given.Add(1)))%ports
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatalf("close probe of port %d: %v", port, err)
		}
		return port
	}
	t.Fatalf("no free port from %d to %d on 127.0.0.1", firstPort, firstPort+ports-1)
	return 0
}
