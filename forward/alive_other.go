//go:build !unix

package forward

import "net"

// alive cannot look into a connection here.
func alive(net.Conn) error { return nil }
