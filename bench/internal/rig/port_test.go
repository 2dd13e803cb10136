package rig

import (
	"net"
	"testing"
)

// A port that was given out is given to nobody else, here or in another process that looks for one.
func TestFreeAddrIsMarkedAsTaken(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		addr, err := FreeAddr()
		if err != nil {
			t.Fatal(err)
		}
		if seen[addr] {
			t.Errorf("%s was given out twice", addr)
		}
		seen[addr] = true
		if mark, err := net.ListenPacket("udp", addr); err == nil {
			_ = mark.Close()
			t.Errorf("%s is not marked", addr)
		}
	}
}
