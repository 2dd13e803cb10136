package agent

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/skewgate/skewgate/host/storage"
)

// txnRequest is the body of POST /v1/storage:txn. Its operations see each
// other's effects, in order, and happen together or not at all.
type txnRequest struct {
	Ops []txnOp `json:"ops"`
}

// txnOp is one operation:
//
//	{"op":"get","key":K}              its value is in the results
//	{"op":"put","key":K,"value":B}    B is base64; "" is the empty value
//	{"op":"delete","key":K}
//	{"op":"check","key":K,"value":B}  the transaction happens only if K has this value; null: only if K is missing
type txnOp struct {
	Op        string `json:"op"`
	Key       string `json:"key"`
	KeyBase64 []byte `json:"keyBase64"`
	Value     []byte `json:"value"`
}

// check refuses what would be guessed otherwise: a client that forgot the value would have stored an empty one.
func (o txnOp) check() error {
	switch {
	case o.Key != "" && o.KeyBase64 != nil:
		return &requestError{"key and keyBase64 are both there"}
	case o.Op == "put" && o.Value == nil:
		return &requestError{"put has no value; the empty one is \"\""}
	}
	return nil
}

func (o txnOp) key() string {
	if o.KeyBase64 != nil {
		return string(o.KeyBase64)
	}
	return o.Key
}

// errCheck says that a check did not hold.
var errCheck = errors.New("check failed")

func (s *storageAPI) txn(w http.ResponseWriter, r *http.Request, st *storage.Storage) error {
	if r.ContentLength > maxTxnBody {
		return &bodyError{maxTxnBody}
	}
	req, err := readTxn(http.MaxBytesReader(w, r.Body, maxTxnBody))
	if err != nil {
		return err
	}
	results := make([]entryJSON, 0, len(req.Ops))
	err = st.Txn(r.Context(), func(tx *storage.Txn) error {
		results = results[:0]
		for i, op := range req.Ops {
			got, err := op.run(r.Context(), tx)
			if err != nil {
				return fmt.Errorf("ops[%d]: %w", i, err)
			}
			if got != nil {
				results = append(results, *got)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, "application/json", map[string]any{"results": results})
	return nil
}

func readTxn(body io.Reader) (req txnRequest, err error) {
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	if err = dec.Decode(&req); err == nil {
		if _, more := dec.Token(); more != io.EOF {
			err = cmp.Or(more, errors.New("there is more after it"))
		}
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return req, &bodyError{maxTxnBody}
	}
	if err != nil {
		return req, &requestError{fmt.Sprintf("the body is not a transaction: %v", err)}
	}
	for i, op := range req.Ops {
		if err := op.check(); err != nil {
			return req, fmt.Errorf("ops[%d]: %w", i, err)
		}
	}
	return req, nil
}

// run does one operation; a get gives an entry.
func (o txnOp) run(ctx context.Context, tx *storage.Txn) (*entryJSON, error) {
	switch o.Op {
	case "put":
		return nil, tx.Put(o.key(), o.Value)
	case "delete":
		return nil, tx.Delete(o.key())
	case "get", "check":
		v, err := tx.Get(ctx, o.key())
		if err != nil {
			return nil, err
		}
		if o.Op == "get" {
			e := entryOf(o.key(), v)
			return &e, nil
		}
		if (v == nil) != (o.Value == nil) || !bytes.Equal(v, o.Value) {
			return nil, fmt.Errorf("%w: %q has another value", errCheck, o.key())
		}
		return nil, nil
	}
	return nil, &requestError{fmt.Sprintf("op %q is none of get, put, delete, check", o.Op)}
}
