package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/skewgate/skewgate/host/storage"
)

// RunConditional holds a store of one's own to what storage.Claim needs of it,
// and shows that its documents are fenced. open gives a store to one and the same server each time.
func RunConditional(t *testing.T, open func(t *testing.T) storage.Conditional) {
	for name, test := range map[string]func(*testing.T, storage.Conditional, string){
		"KeepsDataAndFenceTogether":        keepsTogether,
		"RefusesAnotherVersion":            refusesVersion,
		"OneOfManyWins":                    oneWins,
		"ClaimTable":                       documentClaimTable,
		"StaleInstanceDoesNotSave":         staleDoesNotSave,
		"DelayedSaveOfAnEarlierActivation": delayedSave,
		"LateSaveOfUnknownOutcome":         lateSave,
		"EmptyDocumentIsStillFenced":       emptyDocument,
		"ClaimsRace":                       documentClaimsRace,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t), "Cart/"+t.Name())
		})
	}
}

func keepsTogether(t *testing.T, c storage.Conditional, object string) {
	data, kept, version, err := c.Load(t.Context(), object)
	if err != nil || data != nil || kept != "" || version != "" {
		t.Fatalf("what is not there loads as %q, %q, %q, %v", data, kept, version, err)
	}
	for i, want := range [][]byte{[]byte("a\x00b\xff/ %\n"), {}, bytes.Repeat([]byte("x"), 128<<10)} {
		f := fence(int64(i+1), "a", 1).String()
		version, err = c.Store(t.Context(), object, want, f, version)
		if err != nil || version == "" {
			t.Fatalf("store %d: version %q, %v", i, version, err)
		}
		data, kept, stands, err := c.Load(t.Context(), object)
		if err != nil || !bytes.Equal(data, want) || kept != f || stands != version {
			t.Fatalf("document %d loads with %d bytes, %q, version %q, %v; want %d bytes, %q, %q", i, len(data), kept, stands, err, len(want), f, version)
		}
	}
}

func refusesVersion(t *testing.T, c storage.Conditional, object string) {
	if _, err := c.Store(t.Context(), object, nil, "1.a.1", "7"); !errors.Is(err, storage.ErrPrecondition) {
		t.Errorf("a version of what is not there: %v, want ErrPrecondition", err)
	}
	first, err := c.Store(t.Context(), object, []byte("1"), "1.a.1", "")
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Store(t.Context(), object, []byte("2"), "1.a.1", first)
	if err != nil || second == first {
		t.Fatalf("version %q after %q, %v", second, first, err)
	}
	for _, version := range []string{"", first} {
		if _, err := c.Store(t.Context(), object, []byte("3"), "1.a.1", version); !errors.Is(err, storage.ErrPrecondition) {
			t.Errorf("version %q while %q stands: %v, want ErrPrecondition", version, second, err)
		}
	}
	if data, _, _, err := c.Load(t.Context(), object); err != nil || string(data) != "2" {
		t.Errorf("after refusals: %q, %v", data, err)
	}
}

// oneWins lets many store over one version at once.
func oneWins(t *testing.T, c storage.Conditional, object string) {
	version := ""
	for round := range 5 {
		var wg sync.WaitGroup
		var won atomic.Value
		for i := range 8 {
			wg.Go(func() {
				v, err := c.Store(t.Context(), object, fmt.Append(nil, round, "/", i), "1.a.1", version)
				switch {
				case err == nil && !won.CompareAndSwap(nil, v):
					t.Errorf("round %d: two stored over version %q", round, version)
				case err != nil && !errors.Is(err, storage.ErrPrecondition):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		v, ok := won.Load().(string)
		if !ok {
			t.Fatalf("round %d: nobody stored over version %q", round, version)
		}
		version = v
	}
}

func claimDocument(t *testing.T, c storage.Conditional, object string, f storage.Fence) *storage.Document {
	t.Helper()
	d, err := storage.Claim(t.Context(), c, object, f, nil)
	if err != nil {
		t.Fatalf("claim %v: %v", f, err)
	}
	return d
}

func save(t *testing.T, d *storage.Document, data string) {
	t.Helper()
	if err := d.Save(t.Context(), []byte(data)); err != nil {
		t.Fatal(err)
	}
}

func documentClaimTable(t *testing.T, c storage.Conditional, object string) {
	cur := fence(10, "a", 5)
	for i, f := range []storage.Fence{
		fence(11, "b", 1), fence(11, "a", 1), fence(10, "a", 5), fence(10, "a", 6),
		fence(10, "a", 4), fence(10, "b", 5), fence(10, "b", 9), fence(9, "a", 9), fence(9, "b", 9),
	} {
		o := fmt.Sprintf("%s/%d", object, i)
		save(t, claimDocument(t, c, o, cur), "v")
		d, err := storage.Claim(t.Context(), c, o, f, nil)
		if f.MayClaim(cur) {
			if err != nil || string(d.Data()) != "v" {
				t.Errorf("claim %v over %v: %v", f, cur, err)
			}
			continue
		}
		var stale *storage.StaleError
		if !errors.As(err, &stale) || stale.Current != cur.Token {
			t.Errorf("claim %v over %v: %v, want stale at %d", f, cur, err, cur.Token)
		}
	}
}

func staleDoesNotSave(t *testing.T, c storage.Conditional, object string) {
	old := claimDocument(t, c, object, fence(7, "a", 1))
	save(t, old, "old")
	cur := claimDocument(t, c, object, fence(8, "b", 1))
	if string(cur.Data()) != "old" {
		t.Errorf("the successor finds %q", cur.Data())
	}
	for range 2 {
		if err := old.Save(t.Context(), []byte("stale")); !errors.Is(err, storage.ErrStale) {
			t.Errorf("save of a stale instance: %v, want stale", err)
		}
	}
	save(t, cur, "new")
	wantData(t, c, object, "new")
}

func delayedSave(t *testing.T, c storage.Conditional, object string) {
	early := claimDocument(t, c, object, fence(7, "a", 1))
	late := claimDocument(t, c, object, fence(7, "a", 2)) // the same token, activated again
	if err := early.Save(t.Context(), []byte("early")); !errors.Is(err, storage.ErrStale) {
		t.Errorf("save of the earlier activation: %v, want stale", err)
	}
	save(t, late, "late")
	wantData(t, c, object, "late")
}

// held is a store that can keep a write until the test lets it arrive.
type held struct {
	storage.Conditional
	holds  bool
	arrive func() error
}

var errNoAnswer = errors.New("no answer")

func (h *held) Store(ctx context.Context, object string, data []byte, fence, version string) (string, error) {
	if !h.holds {
		return h.Conditional.Store(ctx, object, data, fence, version)
	}
	h.arrive = func() error {
		_, err := h.Conditional.Store(ctx, object, data, fence, version)
		return err
	}
	return "", errNoAnswer
}

// lateSave lets a write arrive after its owner has given it up and the next activation has claimed.
func lateSave(t *testing.T, c storage.Conditional, object string) {
	h := &held{Conditional: c}
	var told error
	d, err := storage.Claim(t.Context(), h, object, fence(7, "a", 1), func(err error) { told = err })
	if err != nil {
		t.Fatal(err)
	}
	save(t, d, "first")
	h.holds = true
	if err := d.Save(t.Context(), []byte("late")); !errors.Is(err, storage.ErrUnknown) || !errors.Is(told, storage.ErrUnknown) {
		t.Errorf("save without an answer: %v, the owner was told %v; want unknown", err, told)
	}
	if err := d.Save(t.Context(), []byte("again")); !errors.Is(err, storage.ErrStale) {
		t.Errorf("save after that: %v, want stale", err)
	}
	next := claimDocument(t, c, object, fence(7, "a", 2))
	if err := h.arrive(); !errors.Is(err, storage.ErrPrecondition) {
		t.Errorf("the late write: %v, want ErrPrecondition", err)
	}
	if string(next.Data()) != "first" {
		t.Errorf("the next activation finds %q", next.Data())
	}
	wantData(t, c, object, "first")
}

func emptyDocument(t *testing.T, c storage.Conditional, object string) {
	old := claimDocument(t, c, object, fence(7, "a", 1))
	if len(old.Data()) != 0 {
		t.Errorf("a new document has %q", old.Data())
	}
	claimDocument(t, c, object, fence(8, "b", 1))
	if err := old.Save(t.Context(), []byte("stale")); !errors.Is(err, storage.ErrStale) {
		t.Errorf("save of a stale instance to an empty document: %v", err)
	}
	if _, err := storage.Claim(t.Context(), c, object, fence(7, "a", 2), nil); !errors.Is(err, storage.ErrStale) {
		t.Errorf("claim of a stale instance to an empty document: %v", err)
	}
}

// documentClaimsRace lets claims and saves of many sessions meet: the highest has the last word.
func documentClaimsRace(t *testing.T, c storage.Conditional, object string) {
	var wg sync.WaitGroup
	const sessions = 6
	for i := range sessions {
		wg.Go(func() {
			for n := int64(1); ; n++ { // a host activates again where it lost against writes
				d, err := storage.Claim(t.Context(), c, object, fence(int64(i+1), fmt.Sprint("s", i), n), nil)
				for k := 0; err == nil && k < 3; k++ {
					err = d.Save(t.Context(), fmt.Append(nil, i+1))
				}
				if err == nil || i < sessions-1 && errors.Is(err, storage.ErrStale) {
					return
				}
				if !errors.Is(err, storage.ErrStale) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	wantData(t, c, object, fmt.Sprint(sessions))
}

func wantData(t *testing.T, c storage.Conditional, object, want string) {
	t.Helper()
	if data, _, _, err := c.Load(t.Context(), object); err != nil || string(data) != want {
		t.Errorf("the store has %q, %v; want %q", data, err, want)
	}
}
