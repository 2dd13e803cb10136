package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"time"
)

// Bounds of requests.
const (
	maxBody = 64 << 20 // a schema push carries descriptors
	maxWait = 6 * 60e9 // ns; a move may wait for running events

	maxMoveWait = 5 * time.Minute // below maxWait: a host that waits longer would go on with a move that nobody hears of
)

// List is an answer of several things.
type List[T any] struct {
	Items      []T    `json:"items"`
	Truncated  bool   `json:"truncated,omitempty"`  // there are more than asked for
	Cursor     string `json:"cursor,omitempty"`     // objects only: ask again with it for what follows
	Unreadable int    `json:"unreadable,omitempty"` // objects only: records passed over because this version cannot read them; the log names them
}

// kinded says how a type is called in answers, where its Go name is not it.
type kinded interface{ Kind() string }

// Kind gives List the kind of its items.
func (l List[T]) Kind() string { return kindOf(reflect.TypeFor[T]()) + "List" }

func kindOf(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}

// Encode gives v, which must be a JSON object, with apiVersion and kind before its fields.
func Encode(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	if len(body) < 2 || body[0] != '{' {
		return nil, fmt.Errorf("encode answer: %T is no JSON object", v)
	}
	kind := kindOf(reflect.TypeOf(v))
	if k, ok := v.(kinded); ok {
		kind = k.Kind()
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, `{"apiVersion":%q,"kind":%q`, APIVersion, kind)
	if len(body) > 2 {
		out.WriteByte(',')
	}
	out.Write(body[1:])
	return out.Bytes(), nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := Encode(v)
	if err != nil {
		writeProblem(w, problemOf(err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the reader may be gone
}

// readBody decodes a request's JSON; unknown fields are errors, so that a typo is seen.
func readBody(r *http.Request, into any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return badRequest("the body is not what this operation takes: %v", err)
	}
	return nil
}
