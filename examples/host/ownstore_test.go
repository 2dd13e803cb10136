package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/host/storage/storagetest"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
)

func openProfiles(t *testing.T) profiles {
	t.Helper()
	server := testenv.Postgres(t)
	server.Exec(t, `CREATE TABLE profiles (id text PRIMARY KEY, body bytea NOT NULL, fence text NOT NULL, version bigint NOT NULL)`)
	db, err := sql.Open("pgx", server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return profiles{db}
}

func TestTableWithAVersionColumn(t *testing.T) {
	t.Parallel()
	p := openProfiles(t)
	storagetest.RunConditional(t, func(*testing.T) storage.Conditional { return p })
}

// objects is a server of objects with ETags that are a hash of the content.
type objects struct {
	mu   sync.Mutex
	body map[string][]byte
}

func (o *objects) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	body, there := o.body[r.URL.Path]
	tag := fmt.Sprintf("%q", fmt.Sprintf("%x", sha256.Sum256(body)))
	switch {
	case r.Method == http.MethodGet && !there:
		http.NotFound(w, r)
	case r.Method == http.MethodGet:
		w.Header().Set("ETag", tag)
		_, _ = w.Write(body)
	case r.Header.Get("If-None-Match") == "*" && there, r.Header.Get("If-Match") != "" && (!there || r.Header.Get("If-Match") != tag):
		w.WriteHeader(http.StatusPreconditionFailed)
	default:
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		o.body[r.URL.Path] = b
		w.Header().Set("ETag", fmt.Sprintf("%q", fmt.Sprintf("%x", sha256.Sum256(b))))
	}
}

func openBucket(t *testing.T) bucket {
	t.Helper()
	srv := httptest.NewServer(&objects{body: map[string][]byte{}})
	t.Cleanup(srv.Close)
	return bucket{srv.URL, srv.Client()}
}

func TestStoreWithETags(t *testing.T) {
	t.Parallel()
	b := openBucket(t)
	storagetest.RunConditional(t, func(*testing.T) storage.Conditional { return b })
}

// careless writes without its condition.
type careless struct{ storage.Conditional }

func (c careless) Store(ctx context.Context, id string, data []byte, fence, _ string) (string, error) {
	_, _, stands, err := c.Load(ctx, id)
	if err != nil {
		return "", err
	}
	return c.Conditional.Store(ctx, id, data, fence, stands)
}

// The condition is what keeps a stale instance out: without it an acknowledged write is lost.
func TestControlCondition(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]storage.Conditional{"table": openProfiles(t), "etags": openBucket(t)} {
		for _, with := range []bool{true, false} {
			s, id := store, fmt.Sprint("Cart/", with)
			if !with {
				s = careless{store}
			}
			old, err := storage.Claim(t.Context(), s, id, storage.Fence{Token: 7, Session: "a", N: 1}, nil)
			if err != nil {
				t.Fatal(err)
			}
			cur, err := storage.Claim(t.Context(), s, id, storage.Fence{Token: 8, Session: "b", N: 1}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := cur.Save(t.Context(), []byte("acknowledged")); err != nil {
				t.Fatal(err)
			}
			err = old.Save(t.Context(), []byte("stale"))
			data, _, _, lerr := store.Load(t.Context(), id)
			if lerr != nil {
				t.Fatal(lerr)
			}
			if lost := string(data) != "acknowledged"; lost == with || with != errors.Is(err, storage.ErrStale) {
				t.Errorf("%s, condition %v: a stale save gave %v, the store has %q", name, with, err, data)
			}
		}
	}
}

// unsure is a store whose next write happens without an answer.
type unsure struct {
	storage.Conditional
	mu   sync.Mutex
	once bool
}

func (u *unsure) Store(ctx context.Context, id string, data []byte, fence, version string) (string, error) {
	v, err := u.Conditional.Store(ctx, id, data, fence, version)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.once && err == nil {
		u.once = false
		return "", errors.New("connection reset")
	}
	return v, err
}

// A profile lives in a table of its own, on a host without storage: it keeps its state across moves, a
// save of unknown outcome ends the activation, and the next one finds out.
func TestProfile(t *testing.T) {
	t.Parallel()
	m, store := testmesh.New(t, testmesh.Embedded(t)), &unsure{Conditional: openProfiles(t)}
	for _, name := range []string{"one", "two"} {
		m.Start(name, openProfile(store), func(o *host.Options) { o.Storage = "none" })
	}
	k := owners.Key{Class: "Cart", ID: "1"} // the class that testmesh starts
	m.Must(k, http.MethodPost, "/?hat=bowler", "", 200)
	store.mu.Lock()
	store.once = true
	store.mu.Unlock()
	if a, err := m.Do(t.Context(), k, http.MethodPost, "/?hat=fez", ""); err != nil || a.Status != http.StatusConflict || a.Code() != "stale_instance" {
		t.Errorf("a save of unknown outcome: %d %s, %v; want stale_instance", a.Status, a.Body, err)
	}
	if a := m.Must(k, http.MethodGet, "/", "", 200); a.Body != "fez" {
		t.Errorf("the next activation says %q, the table has fez", a.Body)
	}
	if r := m.Release(k, "now", testmesh.Lease); !r.Released {
		t.Errorf("release: %+v", r)
	}
	if a := m.Must(k, http.MethodGet, "/", "", 200); a.Body != "fez" {
		t.Errorf("after a move: %q", a.Body)
	}
}
