package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/wire"
)

// Codes of the storage API's problems, beside wire.StaleInstance.
const (
	codeKeyMissing  = "key_missing"         // 404
	codeBadRequest  = "bad_request"         // 400
	codeBadMethod   = "method_not_allowed"  // 405; Allow says which are
	codeTooLarge    = "limit_exceeded"      // 413
	codeCheckFailed = "check_failed"        // 412: a transaction's check did not hold; nothing was written
	codeConflict    = "conflict"            // 409: lost against other transactions of the same activation
	codeUnavailable = "storage_unavailable" // 503: nothing was done
	codeNoStorage   = "no_storage"          // 501
	codeInternal    = "internal"            // 500
)

const (
	prefixKey = "/v1/storage/"
	pathList  = "/v1/storage"
	pathTxn   = "/v1/storage:txn"
	// maxTxnBody leaves room for 512 values of 128 KiB in base64 and no more than a process can bear.
	maxTxnBody = 96 << 20
)

// storageAPI is what the upstream may do with the objects whose events it runs.
type storageAPI struct {
	events   *events
	maxValue int64
}

func newStorageAPI(e *events, l storage.Limits) *storageAPI {
	maxValue := int64(l.Value)
	if maxValue == 0 {
		maxValue = 128 << 10
	}
	return &storageAPI{events: e, maxValue: maxValue}
}

// ServeHTTP binds the call to its event and dispatches.
func (s *storageAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	if path != pathList && path != pathTxn && !strings.HasPrefix(path, prefixKey) {
		writeProblem(w, http.StatusNotFound, codeBadRequest, "there are /v1/storage/{key}, /v1/storage and /v1/storage:txn")
		return
	}
	ids := r.Header.Values(wire.HeaderEvent)
	if len(ids) != 1 || ids[0] == "" {
		writeProblem(w, http.StatusBadRequest, codeBadRequest, "send the Skewgate-Event header of the event that you are running, once")
		return
	}
	id := ids[0]
	o := s.events.object(id)
	if o == nil {
		writeProblem(w, http.StatusConflict, string(wire.StaleInstance), "no event "+id+" runs here: it has ended, or its activation has")
		return
	}
	if err := s.serve(w, r, o.Storage(), path); err != nil {
		writeError(w, err)
	}
}

func (s *storageAPI) serve(w http.ResponseWriter, r *http.Request, st *storage.Storage, path string) error {
	switch {
	case path == pathTxn && r.Method == http.MethodPost:
		return s.txn(w, r, st)
	case path == pathList && r.Method == http.MethodGet:
		return s.list(w, r, st)
	case path == pathList:
		return &methodError{r.Method, "GET"}
	case path == pathTxn:
		return &methodError{r.Method, "POST"}
	}
	key, err := url.PathUnescape(strings.TrimPrefix(path, prefixKey))
	if err != nil {
		return &requestError{fmt.Sprintf("the key is not percent-encoded: %v", err)}
	}
	switch r.Method {
	case http.MethodGet:
		return get(w, r, st, key)
	case http.MethodPut:
		return s.put(w, r, st, key)
	case http.MethodDelete:
		if err := st.Delete(r.Context(), key); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return &methodError{r.Method, "GET, PUT, DELETE"}
}

func get(w http.ResponseWriter, r *http.Request, st *storage.Storage, key string) error {
	v, err := st.Get(r.Context(), key)
	if err != nil {
		return err
	}
	if v == nil {
		writeProblem(w, http.StatusNotFound, codeKeyMissing, "there is no value under this key")
		return nil
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(v)))
	_, _ = w.Write(v) // the upstream is gone
	return nil
}

func (s *storageAPI) put(w http.ResponseWriter, r *http.Request, st *storage.Storage, key string) error {
	v, err := io.ReadAll(io.LimitReader(r.Body, s.maxValue+1))
	if err != nil {
		return &requestError{fmt.Sprintf("read the value: %v", err)}
	}
	if int64(len(v)) > s.maxValue {
		got := max(r.ContentLength, int64(len(v)))
		return &storage.LimitError{What: "value", Got: int(got), Max: int(s.maxValue)}
	}
	if err := st.Put(r.Context(), key, v); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// entryJSON is a key and its value. A key that is not UTF-8 comes as keyBase64.
type entryJSON struct {
	Key       string `json:"key,omitempty"`
	KeyBase64 []byte `json:"keyBase64,omitempty"`
	Value     []byte `json:"value"` // base64; null where there is none
}

func entryOf(key string, value []byte) entryJSON {
	if !utf8.ValidString(key) {
		return entryJSON{KeyBase64: []byte(key), Value: value}
	}
	return entryJSON{Key: key, Value: value}
}

func (s *storageAPI) list(w http.ResponseWriter, r *http.Request, st *storage.Storage) error {
	q, err := listQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	o := storage.ListOptions{Prefix: q.Get("prefix"), Start: q.Get("start"), End: q.Get("end")}
	if v := q.Get("limit"); v != "" {
		if o.Limit, err = strconv.Atoi(v); err != nil || o.Limit < 1 || o.Limit > storage.MaxList {
			return &requestError{fmt.Sprintf("limit %q is not a number from 1 to %d", v, storage.MaxList)}
		}
	}
	if v := q.Get("reverse"); v != "" {
		if o.Reverse, err = strconv.ParseBool(v); err != nil {
			return &requestError{fmt.Sprintf("reverse %q is not true or false", v)}
		}
	}
	entries, err := st.List(r.Context(), o)
	if err != nil {
		return err
	}
	out := struct {
		Entries []entryJSON `json:"entries"`
	}{Entries: make([]entryJSON, 0, len(entries))}
	for _, e := range entries {
		out.Entries = append(out.Entries, entryOf(e.Key, e.Value))
	}
	writeJSON(w, http.StatusOK, "application/json", out)
	return nil
}

// listQuery reads the parameters of a list. One that is not known, or is there twice, would be dropped otherwise.
func listQuery(raw string) (url.Values, error) {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, &requestError{fmt.Sprintf("the query is malformed: %v", err)}
	}
	for name, values := range q {
		switch {
		case name != "prefix" && name != "start" && name != "end" && name != "limit" && name != "reverse":
			return nil, &requestError{fmt.Sprintf("there is no parameter %q; there are prefix, start, end, limit and reverse", name)}
		case len(values) > 1:
			return nil, &requestError{fmt.Sprintf("the parameter %s is there %d times", name, len(values))}
		}
	}
	return q, nil
}

// requestError is a call that makes no sense.
type requestError struct{ msg string }

func (e *requestError) Error() string { return e.msg }

// methodError is a method that is not for the path.
type methodError struct{ method, allow string }

func (e *methodError) Error() string {
	return "method " + e.method + " is not for this path, " + e.allow + " are"
}

// bodyError is a body that is too large to be read.
type bodyError struct{ max int64 }

func (e *bodyError) Error() string {
	return fmt.Sprintf("the transaction's body has more than %d MiB; make several transactions of it, or write large values by PUT", e.max>>20)
}

// writeError is the one table from storage's errors to the API's.
func writeError(w http.ResponseWriter, err error) {
	status, code := http.StatusInternalServerError, codeInternal
	var request *requestError
	var method *methodError
	var body *bodyError
	switch {
	case errors.As(err, &method):
		w.Header().Set("Allow", method.allow)
		status, code = http.StatusMethodNotAllowed, codeBadMethod
	case errors.As(err, &body):
		status, code = http.StatusRequestEntityTooLarge, codeTooLarge
	case errors.As(err, &request):
		status, code = http.StatusBadRequest, codeBadRequest
	case errors.Is(err, errCheck):
		status, code = http.StatusPreconditionFailed, codeCheckFailed
	case errors.Is(err, storage.ErrStale), errors.Is(err, storage.ErrUnknown):
		status, code = http.StatusConflict, string(wire.StaleInstance)
	case errors.Is(err, storage.ErrConflict):
		status, code = http.StatusConflict, codeConflict
	case errors.Is(err, storage.ErrLimit):
		status, code = http.StatusRequestEntityTooLarge, codeTooLarge
	case errors.Is(err, storage.ErrUnavailable):
		status, code = http.StatusServiceUnavailable, codeUnavailable
	case errors.Is(err, storage.ErrNone):
		status, code = http.StatusNotImplemented, codeNoStorage
	}
	writeProblem(w, status, code, err.Error())
}

func writeProblem(w http.ResponseWriter, status int, code, detail string) {
	writeJSON(w, status, "application/problem+json", map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "code": code, "detail": detail,
	})
}

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the upstream is gone
}
