package wire

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// ErrorDomain is the domain of the ErrorInfo in gRPC and Connect errors.
const ErrorDomain = "skewgate"

// typeBase is where the kinds of problem are described.
const typeBase = "https://github.com/skewgate/skewgate/blob/main/docs/errors.md#"

// maxDetail keeps a status small enough for anybody's header limits.
const maxDetail = 1024

// problemJSON is the RFC 9457 document.
type problemJSON struct {
	Type          string    `json:"type"`
	Title         string    `json:"title"`
	Status        int       `json:"status"`
	Detail        string    `json:"detail,omitempty"`
	Code          Code      `json:"code"`
	Retryable     Retryable `json:"retryable"`
	Overloaded    bool      `json:"overloaded"`
	Object        string    `json:"object,omitempty"`
	ObjectVersion string    `json:"objectVersion,omitempty"`
	CallerVersion string    `json:"callerVersion,omitempty"`
	Token         int64     `json:"token,omitempty"`
}

func (p *Problem) writeJSON(w http.ResponseWriter, r *http.Request, row Row) {
	body, err := json.Marshal(problemJSON{
		Type: typeBase + string(row.Code), Title: row.Title, Status: row.HTTP, Detail: p.Detail,
		Code: row.Code, Retryable: row.Retryable, Overloaded: row.Overloaded,
		Object: p.Object, ObjectVersion: p.ObjectVersion, CallerVersion: p.CallerVersion, Token: p.Token,
	})
	if err != nil { // strings and numbers always encode
		http.Error(w, string(row.Code), row.HTTP)
		return
	}
	writeBody(w, r, row.HTTP, "application/problem+json", append(body, '\n'))
}

// Status gives the problem as a gRPC status with ErrorInfo (and RetryInfo where a Retry-After is due).
func (p *Problem) Status() *status.Status {
	row := p.Code.Row()
	st := status.New(row.GRPC, clip(p.message(row)))
	withDetails, err := st.WithDetails(p.details(row)...)
	if err != nil { // only for codes.OK
		return st
	}
	return withDetails
}

func (p *Problem) message(row Row) string {
	if p.Detail == "" {
		return row.Title
	}
	return p.Detail
}

func (p *Problem) details(row Row) []protoadapt.MessageV1 {
	meta := map[string]string{"retryable": string(row.Retryable), "overloaded": strconv.FormatBool(row.Overloaded)}
	for k, v := range map[string]string{"object": p.Object, "objectVersion": p.ObjectVersion, "callerVersion": p.CallerVersion} {
		if v != "" {
			meta[k] = v
		}
	}
	if p.Token != 0 {
		meta["token"] = strconv.FormatInt(p.Token, 10)
	}
	out := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: string(row.Code), Domain: ErrorDomain, Metadata: meta}}
	if s := p.retryAfter(row); s > 0 {
		out = append(out, &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Duration(s) * time.Second)})
	}
	return out
}

// writeGRPC sends a trailers-only response: the status is in the one and only header block.
func (p *Problem) writeGRPC(w http.ResponseWriter, r *http.Request, row Row) {
	st := p.Status()
	h := w.Header()
	h.Set("Content-Type", r.Header.Get("Content-Type"))
	h.Set("Grpc-Status", strconv.Itoa(int(st.Code())))
	h.Set("Grpc-Message", escapeGRPCMessage(st.Message()))
	if b, err := proto.Marshal(st.Proto()); err == nil {
		h.Set("Grpc-Status-Details-Bin", base64.RawStdEncoding.EncodeToString(b))
	}
	w.WriteHeader(http.StatusOK)
}

// SetTrailers ends a gRPC stream whose head has left with the problem.
func (p *Problem) SetTrailers(h http.Header) {
	st := p.Status()
	h.Set(http.TrailerPrefix+"Grpc-Status", strconv.Itoa(int(st.Code())))
	h.Set(http.TrailerPrefix+"Grpc-Message", escapeGRPCMessage(st.Message()))
	if b, err := proto.Marshal(st.Proto()); err == nil {
		h.Set(http.TrailerPrefix+"Grpc-Status-Details-Bin", base64.RawStdEncoding.EncodeToString(b))
	}
}

// CodeOf reads the Code off the status details of a gRPC answer, as they stand
// in grpc-status-details-bin; "" where they are none of ours.
func CodeOf(detailsBin string) Code {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(detailsBin, "="))
	var st spb.Status
	if err != nil || proto.Unmarshal(b, &st) != nil {
		return ""
	}
	for _, d := range st.GetDetails() {
		var info errdetails.ErrorInfo
		if d.MessageIs(&info) && d.UnmarshalTo(&info) == nil && info.GetDomain() == ErrorDomain {
			return Code(info.GetReason())
		}
	}
	return ""
}

// connectError is the error document of the Connect protocol.
type connectError struct {
	Code    string          `json:"code"`
	Message string          `json:"message"`
	Details []connectDetail `json:"details,omitempty"`
}

type connectDetail struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

func (p *Problem) connect() connectError {
	st := p.Status()
	e := connectError{Code: connectCode(st.Code()), Message: st.Message()}
	for _, d := range st.Proto().GetDetails() {
		name := d.GetTypeUrl()
		name = name[strings.LastIndexByte(name, '/')+1:]
		e.Details = append(e.Details, connectDetail{Type: name, Value: base64.RawStdEncoding.EncodeToString(d.GetValue())})
	}
	return e
}

func (p *Problem) writeConnect(w http.ResponseWriter, row Row) {
	body, err := json.Marshal(p.connect())
	if err != nil { // strings always encode
		http.Error(w, string(row.Code), row.HTTP)
		return
	}
	writeBody(w, nil, row.HTTP, "application/json", body)
}

// writeConnectStream sends a stream that consists of its end: one envelope with flag 2.
func (p *Problem) writeConnectStream(w http.ResponseWriter, r *http.Request, row Row) {
	body, err := json.Marshal(map[string]any{"error": p.connect()})
	if err != nil { // strings always encode
		http.Error(w, string(row.Code), row.HTTP)
		return
	}
	frame := append([]byte{2}, binary.BigEndian.AppendUint32(nil, uint32(len(body)))...)
	writeBody(w, r, http.StatusOK, r.Header.Get("Content-Type"), append(frame, body...))
}

func writeBody(w http.ResponseWriter, r *http.Request, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r != nil && r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(body) // the client is gone: nobody is left to tell
}

// connectCode is the Connect name of a gRPC code that the table uses.
func connectCode(c codes.Code) string {
	switch c {
	case codes.InvalidArgument:
		return "invalid_argument"
	case codes.Unimplemented:
		return "unimplemented"
	case codes.FailedPrecondition:
		return "failed_precondition"
	case codes.Aborted:
		return "aborted"
	case codes.PermissionDenied:
		return "permission_denied"
	case codes.Unavailable:
		return "unavailable"
	case codes.ResourceExhausted:
		return "resource_exhausted"
	case codes.DeadlineExceeded:
		return "deadline_exceeded"
	}
	return "unknown"
}

// escapeGRPCMessage percent-encodes as gRPC asks: everything but printable ASCII, and "%".
func escapeGRPCMessage(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[s[i]>>4])
		b.WriteByte(hex[s[i]&15])
	}
	return b.String()
}

// clip shortens s to maxDetail bytes of whole characters.
func clip(s string) string {
	if len(s) > maxDetail {
		s = s[:maxDetail]
	}
	return strings.ToValidUTF8(s, "")
}
