package host

import "encoding/binary"

// Opcodes (RFC 6455 §5.2).
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
)

// frames follows one direction of a WebSocket (RFC 6455 §5.2) by its frame
// headers alone, so that it knows where messages begin and where a frame may be put in between.
type frames struct {
	opaque bool // not a WebSocket: every read is a message, every place a boundary
	header [14]byte
	have   int    // bytes of the header so far
	left   uint64 // bytes of the payload still to come
	closed bool   // a close frame has begun
}

// boundary says that a frame is over and the next has not begun.
func (f *frames) boundary() bool { return f.opaque || f.have == 0 && f.left == 0 }

// next takes bytes up to the end of the frame that p is in, or begins. begins
// says that its first byte is the first of a data message. p must not be empty.
func (f *frames) next(p []byte) (taken int, begins bool) {
	if f.opaque {
		return len(p), true
	}
	if f.boundary() {
		op := p[0] & 0x0f
		begins = op == opText || op == opBinary
	}
	return f.rest(p), begins
}

// rest takes bytes up to the end of the current frame.
func (f *frames) rest(p []byte) int {
	if f.opaque {
		return len(p)
	}
	i := 0
	if f.left == 0 {
		f.closed = f.closed || f.have == 0 && len(p) > 0 && p[0]&0x0f == opClose
		for i < len(p) {
			f.header[f.have] = p[i]
			f.have++
			i++
			if f.have == f.headerLen() {
				f.left = f.payload()
				f.have = 0
				break
			}
		}
		if f.have > 0 || f.left == 0 {
			return i
		}
	}
	n := min(uint64(len(p)-i), f.left)
	f.left -= n
	return i + int(n)
}

// skip takes all of p.
func (f *frames) skip(p []byte) {
	for len(p) > 0 {
		p = p[f.rest(p):]
	}
}

// headerLen is how long the header is, as far as its bytes so far tell.
func (f *frames) headerLen() int {
	n := 2
	if f.have < 2 {
		return n
	}
	switch f.header[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if f.header[1]&0x80 != 0 {
		n += 4
	}
	return n
}

func (f *frames) payload() uint64 {
	switch n := f.header[1] & 0x7f; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.header[2:]))
	case 127:
		return binary.BigEndian.Uint64(f.header[2:])
	default:
		return uint64(n)
	}
}
