package testenv

import (
	"fmt"
	"net"
	"testing"
)

// Listen listens on a free port as Port gives them. Who serves on it closes it.
func Listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", Port(t)))
	if err != nil {
		t.Fatal(err)
	}
	return l
}
