package picker

import (
	"bytes"
	"net/http"
	"strconv"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/skewgate/skewgate/wire"
)

// refuse makes Envoy answer the client with a problem, in the client's protocol.
func (p *Picker) refuse(stream extprocv3.ExternalProcessor_ProcessServer, h *head, problem *wire.Problem) error {
	w := &captured{header: http.Header{}}
	problem.WriteTo(w, h.request)
	im := &extprocv3.ImmediateResponse{
		Status:  &typev3.HttpStatus{Code: typev3.StatusCode(w.status)},
		Headers: &extprocv3.HeaderMutation{},
		Body:    w.body.Bytes(),
		Details: "skewgate_" + string(problem.Code),
	}
	if code := w.header.Get("Grpc-Status"); code != "" {
		// Envoy makes the trailers-only head itself, of these and not of a body.
		n, _ := strconv.ParseUint(code, 10, 32) // we wrote it
		im.GrpcStatus = &extprocv3.GrpcStatus{Status: uint32(n)}
		im.Body = []byte(problem.Status().Message())
		for _, name := range []string{"Grpc-Status", "Grpc-Message", "Content-Type"} {
			w.header.Del(name)
		}
	}
	w.header.Del("Content-Length")
	for name, values := range w.header {
		im.Headers.SetHeaders = append(im.Headers.SetHeaders, setHeader(name, values[0]))
	}
	if err := stream.Send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ImmediateResponse{ImmediateResponse: im}}); err != nil {
		return ended(err)
	}
	return nil
}

// captured is a response that is kept to be told to Envoy.
type captured struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header gives the header to be set.
func (c *captured) Header() http.Header { return c.header }

// WriteHeader keeps the first status.
func (c *captured) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
}

// Write keeps the body.
func (c *captured) Write(b []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	return c.body.Write(b)
}
