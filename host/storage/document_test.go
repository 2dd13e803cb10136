package storage_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/skewgate/skewgate/host/storage"
)

// shelf is a store with ETags, as an object store over HTTP is one.
type shelf struct {
	mu   sync.Mutex
	docs map[string]shelved
	fail error // of the next Store, after it has happened
}

type shelved struct {
	data  []byte
	fence string
	etag  int
}

func (s *shelf) Load(_ context.Context, object string) (data []byte, fence, version string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.docs[object]
	if !ok {
		return nil, "", "", nil
	}
	return d.data, d.fence, strconv.Itoa(d.etag), nil
}

func (s *shelf) Store(_ context.Context, object string, data []byte, fence, version string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.docs[object]
	if ok && version != strconv.Itoa(d.etag) || !ok && version != "" {
		return "", storage.ErrPrecondition
	}
	s.docs[object] = shelved{data, fence, d.etag + 1}
	err := s.fail
	s.fail = nil
	return strconv.Itoa(d.etag + 1), err
}

// An object that keeps its state in a store of its own claims it with the
// fence of its activation (host.Object.Fence) and saves under it.
func ExampleClaim() {
	ctx, store := context.Background(), &shelf{docs: map[string]shelved{}}

	old, _ := storage.Claim(ctx, store, "Cart/1", storage.Fence{Token: 7, Session: "a", N: 1})
	fmt.Println("old owner saves:", old.Save(ctx, []byte("two apples")))

	current, _ := storage.Claim(ctx, store, "Cart/1", storage.Fence{Token: 8, Session: "b", N: 1})
	fmt.Printf("new owner finds: %s\n", current.Data())

	err := old.Save(ctx, []byte("late"))
	fmt.Println("old owner is stale:", errors.Is(err, storage.ErrStale))
	fmt.Println("new owner saves:", current.Save(ctx, []byte("three apples")))
	// Output:
	// old owner saves: <nil>
	// new owner finds: two apples
	// old owner is stale: true
	// new owner saves: <nil>
}

func TestDocumentClaimTable(t *testing.T) {
	cur := storage.Fence{Token: 10, Session: "a", N: 5}
	for _, f := range []storage.Fence{
		{Token: 11, Session: "b", N: 1}, {Token: 10, Session: "a", N: 5}, {Token: 10, Session: "a", N: 6},
		{Token: 10, Session: "a", N: 4}, {Token: 10, Session: "b", N: 9}, {Token: 9, Session: "a", N: 9},
	} {
		store := &shelf{docs: map[string]shelved{}}
		if _, err := storage.Claim(t.Context(), store, "o", cur); err != nil {
			t.Fatal(err)
		}
		_, err := storage.Claim(t.Context(), store, "o", f)
		if may := f.MayClaim(cur); may != (err == nil) || !may && !errors.Is(err, storage.ErrStale) {
			t.Errorf("claim %v over %v: %v", f, cur, err)
		}
	}
}

// A save of unknown outcome ends the document; the next claim finds out.
func TestDocumentUnknownOutcome(t *testing.T) {
	store := &shelf{docs: map[string]shelved{}}
	d, err := storage.Claim(t.Context(), store, "o", storage.Fence{Token: 7, Session: "a", N: 1})
	if err != nil {
		t.Fatal(err)
	}
	store.fail = errors.New("connection reset")
	if err := d.Save(t.Context(), []byte("x")); !errors.Is(err, storage.ErrUnknown) {
		t.Errorf("save without an answer: %v, want unknown", err)
	}
	if err := d.Save(t.Context(), []byte("y")); !errors.Is(err, storage.ErrStale) {
		t.Errorf("save after that: %v, want stale", err)
	}
	again, err := storage.Claim(t.Context(), store, "o", storage.Fence{Token: 7, Session: "a", N: 2})
	if err != nil || string(again.Data()) != "x" {
		t.Errorf("claimed again: %q, %v", again.Data(), err)
	}
}

// A fence of somebody else's making is refused, not guessed.
func TestDocumentWithAForeignFence(t *testing.T) {
	store := &shelf{docs: map[string]shelved{"o": {nil, "not a fence", 1}}}
	if _, err := storage.Claim(t.Context(), store, "o", storage.Fence{Token: 7}); !errors.Is(err, storage.ErrFenceFormat) {
		t.Errorf("claim: %v, want ErrFenceFormat", err)
	}
}

func FuzzParseFence(f *testing.F) {
	for _, s := range []string{"", "7.a.1", "7.a.b.1", "7..1", ".a.1", "7.a.", "-1.x.-2", "99999999999999999999.a.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := storage.ParseFence(s)
		if err != nil {
			return
		}
		again, err := storage.ParseFence(parsed.String())
		if err != nil || again != parsed {
			t.Errorf("%q parses to %+v, its form %q to %+v, %v", s, parsed, parsed.String(), again, err)
		}
	})
}
