package skew

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/gateway/routing"
)

// Verdict is what is known about two versions.
type Verdict string

// Verdicts.
const (
	OK            Verdict = "ok"
	Fail          Verdict = "FAIL"    // an incompatible method was called
	Partial       Verdict = "partial" // incompatible in methods that were not called
	NotKnown      Verdict = "unknown" // at least one version has no schema in the registry
	Opaque        Verdict = "opaque"  // state in the app's own form: cannot be checked
	NotApplicable Verdict = "-"       // no version took part
)

// Matrix is the record of what the registry knows about one class: computed
// when a schema is pushed, read by gateways, rollouts and the skew query.
type Matrix struct {
	Class        string         `json:"class"`
	App          string         `json:"app"`
	Objects      []string       `json:"objects"` // versions of App that are registered
	Callers      []string       `json:"callers"` // app@version that are registered and bind or export the class
	Incompatible []Incompatible `json:"incompatible,omitempty"`
	State        []StateCell    `json:"state,omitempty"`
}

// Incompatible is one method that a caller version and an object version do
// not both understand; see routing.Incompatible.
type Incompatible struct {
	Class   string `json:"class"`
	Caller  string `json:"caller"` // app@version
	Object  string `json:"object"` // version
	Method  string `json:"method"` // "" = all methods
	Rule    string `json:"rule"`
	Message string `json:"message"`
}

// StateCell says whether code of version Reader can load what Writer stored.
type StateCell struct {
	Writer  string  `json:"writer"`
	Reader  string  `json:"reader"`
	Verdict Verdict `json:"verdict"` // OK, Fail or Opaque
	Rule    string  `json:"rule,omitempty"`
	Message string  `json:"message,omitempty"`
}

// Pair gives the incompatible methods of a caller and an object version. Known
// is false when either has no schema.
func (m *Matrix) Pair(caller, version string) (bad []Incompatible, known bool) {
	if m == nil || !slices.Contains(m.Callers, caller) || !slices.Contains(m.Objects, version) {
		return nil, false
	}
	for _, x := range m.Incompatible {
		if x.Caller == caller && x.Object == version {
			bad = append(bad, x)
		}
	}
	return bad, true
}

// Reads says whether code of version reader can load state that writer stored.
func (m *Matrix) Reads(writer, reader string) StateCell {
	if writer == reader {
		return StateCell{Writer: writer, Reader: reader, Verdict: OK}
	}
	if m != nil {
		for _, c := range m.State {
			if c.Writer == writer && c.Reader == reader {
				return c
			}
		}
	}
	return StateCell{Writer: writer, Reader: reader, Verdict: NotKnown}
}

// Matrices are the matrices of all classes, by class.
type Matrices map[string]*Matrix

// Routing gives what gateways need of every class.
func (m Matrices) Routing() routing.Matrix {
	var all routing.Matrix
	for _, class := range m.Classes() {
		for _, x := range m[class].Incompatible {
			all.Calls = append(all.Calls, routing.Incompatible(x))
		}
		for _, c := range m[class].State {
			if c.Verdict == Fail {
				all.State = append(all.State, routing.Unreadable{Class: class, Writer: c.Writer, Reader: c.Reader, Rule: c.Rule, Message: c.Message})
			}
		}
	}
	return all
}

// Classes lists them by name.
func (m Matrices) Classes() []string { return slices.Sorted(maps.Keys(m)) }

func matrixKey(prefix string) string { return prefix + "matrix" }

// LoadMatrices reads the matrices of all classes.
func LoadMatrices(ctx context.Context, rdb redis.UniversalClient, prefix string) (Matrices, error) {
	fields, err := rdb.HGetAll(ctx, matrixKey(prefix)).Result()
	if err != nil {
		return nil, fmt.Errorf("load matrices: %w", err)
	}
	out := make(Matrices, len(fields))
	for class, v := range fields {
		m := &Matrix{}
		if err := json.Unmarshal([]byte(v), m); err != nil {
			return nil, fmt.Errorf("load matrix of %s: %w", class, err)
		}
		out[class] = m
	}
	return out, nil
}

// StoreMatrices replaces the matrices of all classes at once.
func StoreMatrices(ctx context.Context, rdb redis.UniversalClient, prefix string, all Matrices) error {
	pipe := rdb.TxPipeline()
	pipe.Del(ctx, matrixKey(prefix))
	for class, m := range all {
		b, err := json.Marshal(m)
		if err != nil {
			return fmt.Errorf("encode matrix of %s: %w", class, err)
		}
		pipe.HSet(ctx, matrixKey(prefix), class, b)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("store matrices: %w", err)
	}
	return nil
}

// Matrix gives the versions of every class that must not meet, as the routing table wants them.
func (r *Reader) Matrix(ctx context.Context) (routing.Matrix, error) {
	m, err := r.Matrices(ctx)
	if err != nil {
		return routing.Matrix{}, err
	}
	return m.Routing(), nil
}

// Matrices reads the matrices of all classes.
func (r *Reader) Matrices(ctx context.Context) (Matrices, error) {
	return LoadMatrices(ctx, r.rdb, r.keys.prefix)
}
