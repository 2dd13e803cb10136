package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/host/storage"
)

// A list is the object under test, kept in memory and under one key of the
// object's storage:
//
//	POST /lists/ID/append?v=N  the list with N at its end (more parameters: inTransaction)
//	GET  /lists/ID/            the list, from memory
//	GET  /lists/ID/?stored=1   the list, from storage
//	GET  /lists/ID/socket      a WebSocket, see talk
//
// It reads, dawdles, and writes, so that two who run at once would lose something.
type list struct {
	name   string     // of the host
	turn   sync.Mutex // held by a message of a socket
	mu     sync.Mutex
	values []int
}

// values is where a list is kept.
type values interface {
	get(ctx context.Context) ([]byte, error)
	put(ctx context.Context, v []byte) error
}

var errStale = errors.New("stale")

// load fills the list from storage.
func (l *list) load(ctx context.Context, st values) error {
	v, err := readValues(ctx, st)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.values = v
	return err
}

func readValues(ctx context.Context, st values) ([]int, error) {
	b, err := st.get(ctx)
	if err != nil || b == nil {
		return nil, err
	}
	var v []int
	return v, json.Unmarshal(b, &v)
}

func (l *list) serve(w http.ResponseWriter, r *http.Request, st values) {
	w.Header().Set("Served-By", l.name)
	now, err := l.now(), error(nil)
	switch {
	case strings.HasSuffix(r.URL.Path, "/socket"):
		l.talk(w, r, st)
		return
	case strings.HasSuffix(r.URL.Path, "/append"):
		var v int
		if v, err = strconv.Atoi(r.URL.Query().Get("v")); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		now, err = l.append(r.Context(), st, v)
	case r.URL.Query().Has("stored"):
		now, err = readValues(r.Context(), st)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError) // a stale one is withheld by the gate
		return
	}
	_ = json.NewEncoder(w).Encode(now) // the reader is gone
}

// now is the list, from memory.
func (l *list) now() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]int(nil), l.values...)
}

// append reads, dawdles, and writes.
func (l *list) append(ctx context.Context, st values, v int) ([]int, error) {
	now := l.now()
	time.Sleep(rand.N(8 * time.Millisecond))
	now = append(now, v)
	b, err := json.Marshal(now)
	if err == nil {
		err = st.put(ctx, b)
	}
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.values = now
	return now, nil
}

// inHost keeps a list in the host library's storage.
type inHost struct{ s *storage.Storage }

const listKey = "list"

func (s inHost) get(ctx context.Context) ([]byte, error) { return s.s.Get(ctx, listKey) }
func (s inHost) put(ctx context.Context, v []byte) error { return s.s.Put(ctx, listKey, v) }

// activate makes the list of an object of the host library.
func activate(name string) host.Activate {
	return func(ctx context.Context, o *host.Object) (http.Handler, error) {
		l, st := &list{name: name}, inHost{o.Storage()}
		if err := l.load(ctx, st); err != nil {
			return nil, err
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { l.serve(w, r, st.as(r)) }), nil
	}
}

// inAgent keeps a list in the storage that an agent offers.
type inAgent struct{ url, event string }

func (s inAgent) get(ctx context.Context) ([]byte, error) {
	return s.call(ctx, http.MethodGet, nil)
}

func (s inAgent) put(ctx context.Context, v []byte) error {
	_, err := s.call(ctx, http.MethodPut, strings.NewReader(string(v)))
	return err
}

func (s inAgent) call(ctx context.Context, method string, body io.Reader) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.url+"/v1/storage/"+listKey, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Skewgate-Event", s.event)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode == http.StatusNotFound:
		return nil, nil
	case resp.StatusCode == http.StatusConflict:
		return nil, fmt.Errorf("%w: %s", errStale, b)
	case resp.StatusCode/100 != 2:
		return nil, fmt.Errorf("storage says %d: %s", resp.StatusCode, b)
	}
	return b, nil
}

// upstream is lists behind an agent. It knows nothing of skewgate but its headers.
type upstream struct {
	name, storage string
	mu            sync.Mutex
	lists         map[string]*list
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" {
		return
	}
	object, st := r.Header.Get("Skewgate-Object"), inAgent{u.storage, r.Header.Get("Skewgate-Event")}
	u.mu.Lock()
	l := u.lists[object]
	u.mu.Unlock()
	if l == nil || r.Header.Get("Skewgate-Activation") == "new" {
		l = &list{name: u.name}
		if err := l.load(r.Context(), st); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			u.forget(object)
			return
		}
		u.mu.Lock()
		u.lists[object] = l
		u.mu.Unlock()
	}
	l.serve(w, r, st)
}

// forget drops what memory there is: it may be of an earlier activation.
func (u *upstream) forget(object string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.lists, object)
}
