//go:build unix

package forward

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// alive looks whether the peer has closed the connection already, without
// taking anything out of it. net/http finds that out beside the request, and
// would write to a closed connection now and then, which leaves it open
// whether the request arrived.
func alive(c net.Conn) error {
	tc, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tc.SyscallConn()
	if err != nil {
		return err
	}
	var n int
	var got error
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		n, _, got = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	switch {
	case err != nil:
		return err
	case errors.Is(got, syscall.EAGAIN), errors.Is(got, syscall.EINTR):
		return nil
	case got != nil:
		return got
	case n == 0:
		return io.EOF
	}
	return nil
}
