// Package testenv starts the real servers that tests run against. A server
// that is not installed fails the test and says what to install; nothing is
// ever skipped. Everything started ends with the test.
package testenv

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Port gives a free TCP port on 127.0.0.1 below 32768, outside of the range
// from which the kernel takes ports for outgoing connections, so that nobody
// takes it between this call and the server's start.
func Port(t testing.TB) int {
	t.Helper()
	for range 200 {
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatalf("close probe of port %d: %v", port, err)
		}
		return port
	}
	t.Fatal("no free port between 20000 and 32000 on 127.0.0.1")
	return 0
}
