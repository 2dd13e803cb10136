package host

import (
	"errors"
	"fmt"
	"runtime/debug"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A panic of the user's code ends what it was called for, not the process: an
// Activate or a Close runs in no goroutine of a server that would recover it,
// and neither do gRPC's handlers. A handler over HTTP is left to net/http,
// which logs it and closes the connection.

// panicError is a panic of the user's code. Its text is for clients as well: what was thrown is for the log.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return "the host's code panicked; its log says where" }

// caught, deferred, turns a panic into an error.
func caught(err *error) {
	if p := recover(); p != nil {
		*err = &panicError{p, debug.Stack()}
	}
}

// thrown is what a log line says of an error that may be a panic.
func thrown(err error) []any {
	var p *panicError
	if errors.As(err, &p) {
		return []any{"panic", fmt.Sprint(p.value), "stack", string(p.stack)}
	}
	return []any{"error", err}
}

// handle runs a gRPC handler.
func (e *event) handle(handler func() (any, error)) (resp any, err error) {
	defer func() {
		var p *panicError
		if errors.As(err, &p) {
			e.s.log.Error("a gRPC handler panicked", append([]any{"object", e.o.key, "token", e.act.token}, thrown(err)...)...)
			resp, err = nil, status.Error(codes.Internal, p.Error())
		}
	}()
	defer caught(&err)
	return handler()
}
