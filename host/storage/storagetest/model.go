package storagetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/skewgate/skewgate/host/storage"
)

// behavesAsAMap runs random operations against a driver and a map.
func (s suite) behavesAsAMap(t *testing.T) {
	d := s.open(t)
	object := 0
	key := rapid.StringMatching(`[ab]{1,3}`)
	rapid.Check(t, func(rt *rapid.T) {
		object++
		st, err := storage.Open(t.Context(), d, fmt.Sprintf("%s/%d", t.Name(), object), fence(1, "a", 1), storage.Limits{}, nil)
		if err != nil {
			rt.Fatal(err)
		}
		model := map[string]string{}
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				k, v := key.Draw(rt, "key"), rapid.StringN(0, 5, 20).Draw(rt, "value")
				if err := st.Put(t.Context(), k, []byte(v)); err != nil {
					rt.Fatal(err)
				}
				model[k] = v
			},
			"delete": func(rt *rapid.T) {
				k := key.Draw(rt, "key")
				if err := st.Delete(t.Context(), k); err != nil {
					rt.Fatal(err)
				}
				delete(model, k)
			},
			"get": func(rt *rapid.T) {
				k := key.Draw(rt, "key")
				got, err := st.Get(t.Context(), k)
				want, ok := model[k]
				if err != nil || string(got) != want || (got != nil) != ok {
					rt.Fatalf("get %q = %q, %v; want %q, %v", k, got, err, want, ok)
				}
			},
			"list": func(rt *rapid.T) { compareList(rt, t.Context(), st.List, model) },
			"txn": func(rt *rapid.T) {
				next := maps.Clone(model)
				err := st.Txn(t.Context(), func(tx *storage.Txn) error {
					next = maps.Clone(model)
					for range rapid.IntRange(1, 4).Draw(rt, "ops") {
						k := key.Draw(rt, "key")
						if rapid.Bool().Draw(rt, "put") {
							next[k] = k
							if err := tx.Put(k, []byte(k)); err != nil {
								return err
							}
						} else {
							delete(next, k)
							if err := tx.Delete(k); err != nil {
								return err
							}
						}
						compareList(rt, t.Context(), tx.List, next)
					}
					return nil
				})
				if err != nil {
					rt.Fatal(err)
				}
				model = next
			},
		})
	})
}

func compareList(rt *rapid.T, ctx context.Context, list func(context.Context, storage.ListOptions) ([]storage.Entry, error), model map[string]string) {
	o := storage.ListOptions{
		Prefix: rapid.StringMatching(`[ab]{0,2}`).Draw(rt, "prefix"), Start: rapid.StringMatching(`[ab]{0,3}`).Draw(rt, "start"),
		End: rapid.StringMatching(`[ab]{0,3}`).Draw(rt, "end"), Limit: rapid.IntRange(0, 4).Draw(rt, "limit"), Reverse: rapid.Bool().Draw(rt, "reverse"),
	}
	got, err := list(ctx, o)
	if err != nil {
		rt.Fatal(err)
	}
	var want []string
	for _, k := range slices.Sorted(maps.Keys(model)) {
		if strings.HasPrefix(k, o.Prefix) && k >= o.Start && (o.End == "" || k < o.End) {
			want = append(want, k+"="+model[k])
		}
	}
	if o.Reverse {
		slices.Reverse(want)
	}
	if o.Limit > 0 {
		want = want[:min(len(want), o.Limit)]
	}
	var have []string
	for _, e := range got {
		have = append(have, e.Key+"="+string(e.Value))
	}
	if !slices.Equal(have, want) {
		rt.Fatalf("list %+v = %q, want %q", o, have, want)
	}
}
