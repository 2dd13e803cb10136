package host_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"github.com/skewgate/skewgate/host"
)

// Whatever is evicted, a token that was released once is refused ever after.
func TestReleasedNeverForgetsInTheWrongDirection(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		r := host.NewReleasedTokens(rapid.IntRange(1, 5).Draw(rt, "capacity"))
		released := map[string]int64{}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			id := rapid.StringMatching(`[a-j]`).Draw(rt, "id")
			token := rapid.Int64Range(1, 1000).Draw(rt, "token")
			r.Add(key(id), token)
			released[id] = max(released[id], token)
			for id, token := range released {
				if !r.Over(key(id), token) {
					rt.Fatalf("token %d of %s was released and is admitted", token, id)
				}
			}
		}
	})
}

// frame makes one WebSocket frame.
func frame(op byte, masked bool, payload []byte) []byte {
	b := []byte{0x80 | op}
	mask := byte(0)
	if masked {
		mask = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b = append(b, mask|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, mask|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, mask|127), uint64(n))
	}
	if masked {
		b = append(b, 1, 2, 3, 4)
	}
	return append(b, payload...)
}

// However the bytes are cut into reads, the same messages are found.
func TestFramesAreFoundHoweverTheyAreCut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var stream []byte
		messages := 0
		for range rapid.IntRange(1, 8).Draw(rt, "frames") {
			op := rapid.SampledFrom([]byte{0, 1, 2, 8, 9, 10}).Draw(rt, "op")
			size := rapid.SampledFrom([]int{0, 1, 125, 126, 127, 65535, 65536}).Draw(rt, "size")
			stream = append(stream, frame(op, rapid.Bool().Draw(rt, "masked"), bytes.Repeat([]byte{0x81}, size))...)
			if op == 1 || op == 2 {
				messages++
			}
		}
		var f host.Frames
		found := 0
		for rest := stream; len(rest) > 0; {
			chunk := rest[:min(len(rest), rapid.IntRange(1, 70000).Draw(rt, "read"))]
			rest = rest[len(chunk):]
			for len(chunk) > 0 {
				n, begins := f.Next(chunk)
				if n < 1 || n > len(chunk) {
					rt.Fatalf("took %d of %d bytes", n, len(chunk))
				}
				if begins {
					found++
				}
				chunk = chunk[n:]
			}
		}
		if found != messages || !f.Boundary() {
			rt.Fatalf("found %d messages, at a boundary %v; want %d and true", found, f.Boundary(), messages)
		}
	})
}

// Any bytes at all: the scanner goes on and ends.
func FuzzFrames(f *testing.F) {
	f.Add(frame(1, true, []byte("hello")))
	f.Add([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var fr host.Frames
		for len(b) > 0 {
			n, _ := fr.Next(b)
			if n < 1 || n > len(b) {
				t.Fatalf("took %d of %d bytes", n, len(b))
			}
			b = b[n:]
		}
	})
}
