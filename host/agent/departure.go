package agent

import (
	"context"
	"net/http"
	"sync"
)

// departure keeps an event going whose client has gone away. The upstream goes
// on with it all the same: most servers cannot call a handler back, many do not
// even notice. So the object's next event may begin only when the upstream has
// ended its answer; it would run beside the first one otherwise. Nobody reads
// that answer, and the upstream has --response-timeout for it.
//
// A stream, which does not hold the object's queue, ends with its client.
type departure struct {
	client context.Context // the event's own; ends when the client goes away
	watch  *silence
	cancel context.CancelCauseFunc // of the forwarding
	stop   func() bool

	mu     sync.Mutex
	gone   bool
	stream bool
}

func newDeparture(client context.Context, watch *silence, cancel context.CancelCauseFunc) *departure {
	d := &departure{client: client, watch: watch, cancel: cancel}
	d.stop = context.AfterFunc(client, func() { d.left() })
	return d
}

// left says whether the client has gone away, and does once what follows from it.
func (d *departure) left() bool {
	if context.Cause(d.client) != context.Canceled { //nolint:errorlint // the very one; else the activation was lost
		return false
	}
	d.mu.Lock()
	first, stream := !d.gone, d.stream
	d.gone = true
	d.mu.Unlock()
	switch {
	case first && stream:
		d.cancel(context.Canceled)
	case first:
		d.watch.alone()
	}
	return true
}

// becameStream says that the event has become a stream.
func (d *departure) becameStream() {
	d.mu.Lock()
	gone := d.gone
	d.stream = true
	d.mu.Unlock()
	if gone {
		d.cancel(context.Canceled)
	}
}

func (d *departure) beside() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stream
}

func (d *departure) over() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gone && !d.stream
}

// wrap gives a writer that takes the rest of an answer which nobody reads.
func (d *departure) wrap(w http.ResponseWriter) http.ResponseWriter {
	return &partingWriter{ResponseWriter: w, d: d}
}

type partingWriter struct {
	http.ResponseWriter
	d *departure
}

// Write drops what nobody reads.
func (w *partingWriter) Write(p []byte) (int, error) {
	if w.d.over() {
		return len(p), nil
	}
	n, err := w.ResponseWriter.Write(p)
	if err != nil && w.d.left() && w.d.over() {
		return len(p), nil
	}
	return n, err
}

// FlushError is for http.ResponseController.
func (w *partingWriter) FlushError() error {
	if w.d.over() {
		return nil
	}
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if err != nil && w.d.left() && w.d.over() {
		return nil
	}
	return err
}

// Unwrap is for http.ResponseController.
func (w *partingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
