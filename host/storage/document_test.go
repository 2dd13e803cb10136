package storage_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/host/storage/storagetest"
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

	old, _ := storage.Claim(ctx, store, "Cart/1", storage.Fence{Token: 7, Session: "a", N: 1}, nil)
	fmt.Println("old owner saves:", old.Save(ctx, []byte("two apples")))

	current, _ := storage.Claim(ctx, store, "Cart/1", storage.Fence{Token: 8, Session: "b", N: 1}, nil)
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
		if _, err := storage.Claim(t.Context(), store, "o", cur, nil); err != nil {
			t.Fatal(err)
		}
		_, err := storage.Claim(t.Context(), store, "o", f, nil)
		if may := f.MayClaim(cur); may != (err == nil) || !may && !errors.Is(err, storage.ErrStale) {
			t.Errorf("claim %v over %v: %v", f, cur, err)
		}
	}
}

// A save of unknown outcome ends the document; the next claim finds out.
func TestDocumentUnknownOutcome(t *testing.T) {
	store := &shelf{docs: map[string]shelved{}}
	d, err := storage.Claim(t.Context(), store, "o", storage.Fence{Token: 7, Session: "a", N: 1}, nil)
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
	again, err := storage.Claim(t.Context(), store, "o", storage.Fence{Token: 7, Session: "a", N: 2}, nil)
	if err != nil || string(again.Data()) != "x" {
		t.Errorf("claimed again: %q, %v", again.Data(), err)
	}
}

// hashed is a store whose versions are a hash of the data alone, as ETags may be.
type hashed struct{ *shelf }

func (h hashed) version(object string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Sprintf("%x", sha256.Sum256(h.docs[object].data))
}

func (h hashed) Load(ctx context.Context, object string) (data []byte, fence, version string, err error) {
	if data, fence, version, err = h.shelf.Load(ctx, object); version != "" {
		version = h.version(object)
	}
	return data, fence, version, err
}

func (h hashed) Store(ctx context.Context, object string, data []byte, fence, version string) (string, error) {
	_, _, stands, err := h.shelf.Load(ctx, object)
	if err != nil || version != "" && version != h.version(object) {
		return "", storage.ErrPrecondition
	}
	if _, err := h.shelf.Store(ctx, object, data, fence, stands); err != nil {
		return "", err
	}
	return h.version(object), nil
}

// Where the version is a hash of the data alone, a claim would not keep late writes of a predecessor out: it is refused.
func TestDocumentWhoseVersionIsNotOfItsFence(t *testing.T) {
	store := hashed{&shelf{docs: map[string]shelved{}}}
	if _, err := storage.Claim(t.Context(), store, "o", storage.Fence{Token: 7, Session: "a", N: 1}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Claim(t.Context(), store, "o", storage.Fence{Token: 8, Session: "b", N: 1}, nil); !errors.Is(err, storage.ErrVersion) {
		t.Errorf("claim over a claim: %v, want ErrVersion", err)
	}
}

func TestShelf(t *testing.T) {
	storagetest.RunConditional(t, func(*testing.T) storage.Conditional { return &shelf{docs: map[string]shelved{}} })
}

// A fence of somebody else's making is refused, not guessed.
func TestDocumentWithAForeignFence(t *testing.T) {
	store := &shelf{docs: map[string]shelved{"o": {nil, "not a fence", 1}}}
	if _, err := storage.Claim(t.Context(), store, "o", storage.Fence{Token: 7}, nil); !errors.Is(err, storage.ErrFenceFormat) {
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
