package wire

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
)

// Code names one kind of failure that a client may see.
type Code string

// Codes; Table says what each means on the wire.
const (
	ObjectKeyMissing    Code = "object_key_missing"
	ObjectKeyInvalid    Code = "object_key_invalid"
	NoRoute             Code = "no_route"
	VersionIncompatible Code = "version_incompatible"
	StaleInstance       Code = "stale_instance" // an event started, its outcome is unknown
	PreviewNotExported  Code = "preview_not_exported"
	PreviewNotBound     Code = "preview_not_bound"
	NoHost              Code = "no_host"
	OwnerMoving         Code = "owner_moving"
	StoreUnavailable    Code = "store_unavailable"
	Overloaded          Code = "overloaded"
	UpstreamFailed      Code = "upstream_failed"
	UpstreamTimeout     Code = "upstream_timeout"
)

// Retryable says whether a client may send the same request again.
type Retryable string

// What a client may do.
const (
	RetryNo         Retryable = "no"
	RetryYes        Retryable = "yes"           // nothing was executed
	RetryIdempotent Retryable = "if-idempotent" // the request may have been executed
)

// Row is what one Code means on the wire.
type Row struct {
	Code       Code
	Title      string
	HTTP       int
	GRPC       codes.Code
	Retryable  Retryable
	Overloaded bool
	RetryAfter bool // a Retry-After is due
}

// table is the one place that maps a failure to what clients see.
var table = [...]Row{
	{ObjectKeyMissing, "The request names no object", 400, codes.InvalidArgument, RetryNo, false, false},
	{ObjectKeyInvalid, "The object id is not valid", 400, codes.InvalidArgument, RetryNo, false, false},
	{NoRoute, "No class serves this request", 404, codes.Unimplemented, RetryNo, false, false},
	{VersionIncompatible, "Caller and object versions do not understand each other", 409, codes.FailedPrecondition, RetryNo, false, false},
	{StaleInstance, "The object moved while the request ran; its outcome is unknown", 409, codes.Aborted, RetryIdempotent, false, false},
	{PreviewNotExported, "The preview does not export this class", 403, codes.PermissionDenied, RetryNo, false, false},
	{PreviewNotBound, "The caller is not bound to this preview", 403, codes.PermissionDenied, RetryNo, false, false},
	{NoHost, "No host is ready for the object", 503, codes.Unavailable, RetryYes, false, true},
	{OwnerMoving, "The object is moving to another host", 503, codes.Unavailable, RetryYes, false, true},
	{StoreUnavailable, "The ownership store cannot be reached", 503, codes.Unavailable, RetryYes, false, true},
	{Overloaded, "Too many requests wait for this object", 503, codes.ResourceExhausted, RetryNo, true, true},
	{UpstreamFailed, "The host failed; the outcome is unknown", 502, codes.Unavailable, RetryIdempotent, false, false},
	{UpstreamTimeout, "The host did not answer in time; the outcome is unknown", 504, codes.DeadlineExceeded, RetryIdempotent, false, false},
}

// Table lists every Code.
func Table() []Row { return append([]Row(nil), table[:]...) }

// Row gives c's row. An unknown code is treated as UpstreamFailed, the row that promises least.
func (c Code) Row() Row {
	for i := range table {
		if table[i].Code == c {
			return table[i]
		}
	}
	return UpstreamFailed.Row()
}

// defaultRetryAfter is what Retry-After says when the problem does not know better.
const defaultRetryAfter = time.Second

// Problem is one failure of one request, as a client sees it.
type Problem struct {
	Code          Code
	Detail        string // what happened here, and what to do
	Object        string // Class/percent-encoded id
	ObjectVersion string // app@version, when known
	CallerVersion string // app@version, when known
	Token         int64
	Override      string        // what Skewgate-Override answers; "" when no override was asked for
	RetryAfter    time.Duration // 0 means one second where one is due
	Err           error         // cause, for logs; never sent
}

// Error gives code and detail.
func (p *Problem) Error() string {
	if p.Err != nil {
		return fmt.Sprintf("%s: %s: %v", p.Code, p.Detail, p.Err)
	}
	return fmt.Sprintf("%s: %s", p.Code, p.Detail)
}

// Unwrap gives the cause.
func (p *Problem) Unwrap() error { return p.Err }

// retryAfter is in whole seconds, at least one, or 0 where none is due.
func (p *Problem) retryAfter(row Row) int {
	if !row.RetryAfter {
		return 0
	}
	d := p.RetryAfter
	if d <= 0 {
		d = defaultRetryAfter
	}
	return int((d + time.Second - 1) / time.Second)
}

// WriteTo answers r with the problem, in the form that r's protocol asks for:
// gRPC and gRPC-Web status in trailers-only form, a Connect error, or
// application/problem+json (RFC 9457). Nothing may have been written before.
func (p *Problem) WriteTo(w http.ResponseWriter, r *http.Request) {
	row := p.Code.Row()
	if s := p.retryAfter(row); s > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(s))
	}
	w.Header().Set("Cache-Control", "no-store")
	if p.Override != "" {
		w.Header().Set(HeaderOverride, p.Override)
	}
	switch ProtocolOf(r) {
	case ProtocolGRPC, ProtocolGRPCWeb:
		p.writeGRPC(w, r, row)
	case ProtocolConnect:
		p.writeConnect(w, row)
	case ProtocolConnectStream:
		p.writeConnectStream(w, r, row)
	default:
		p.writeJSON(w, r, row)
	}
}
