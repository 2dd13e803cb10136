package mesh

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"os"
	"reflect"
	"time"
)

// pollEvery is how often Watch looks at the file. Polling sees renames, bind
// mounts and Kubernetes' symlink swaps alike, which file events do not.
const pollEvery = time.Second

type fingerprint [sha256.Size]byte

func fingerprintOf(parts ...[]byte) fingerprint {
	h := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256(p)
		h.Write(sum[:])
	}
	return fingerprint(h.Sum(nil))
}

// Watch calls fn with the Mesh that path holds now, so that no change is
// missed between a Load and a Watch, and again whenever the file, or a secret
// file that it names, has changed and is right. A wrong file is logged once
// and the last good Mesh stays. It returns when ctx ends. fn runs on Watch's
// goroutine.
func Watch(ctx context.Context, path string, log *slog.Logger, fn func(*Mesh)) {
	w := watcher{path: path, log: log}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if m := w.look(); m != nil {
			fn(m)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

type watcher struct {
	path string
	log  *slog.Logger
	last *Mesh // last good

	seen  fingerprint // of the last content looked at, good or bad
	stamp string      // cheap sign that nothing was touched
}

// look gives a new good Mesh or nil.
func (w *watcher) look() *Mesh {
	stamp := w.touched()
	if stamp != "" && stamp == w.stamp {
		return nil
	}
	m, print, err := load(w.path)
	w.stamp = stamp
	if err != nil {
		print = fingerprintOf(print[:], []byte(err.Error()))
	}
	if print == w.seen {
		return nil
	}
	w.seen = print
	if err != nil {
		w.log.Error("mesh file is wrong; the last good one stays", "file", w.path, "error", err.Error())
		return nil
	}
	if w.last != nil && reflect.DeepEqual(*w.last, *m) {
		return nil
	}
	w.last = m
	return m
}

// touched gives size and times of the watched files, "" when one cannot be
// seen or was written so lately that its time may not show a second write.
func (w *watcher) touched() string {
	files := []string{w.path}
	if w.last != nil {
		files = append(files, w.last.Auth.MeshSecretFile, w.last.Auth.AdminTokenFile)
	}
	stamp := ""
	for _, f := range files {
		if f == "" {
			continue
		}
		info, err := os.Stat(f)
		if err != nil || time.Since(info.ModTime()) < 2*pollEvery {
			return ""
		}
		stamp += info.ModTime().String() + info.Name() + "|"
	}
	return stamp
}

// NeedsRestart lists the top-level keys that differ in next and that a running
// process does not take over; classes are taken over live, and what is in certificate files by whoever uses them.
func (m *Mesh) NeedsRestart(next *Mesh) []string {
	var keys []string
	add := func(key string, a, b any) {
		if !reflect.DeepEqual(a, b) {
			keys = append(keys, key)
		}
	}
	add("store", m.Store, next.Store)
	add("listen", m.Listen, next.Listen)
	add("leases", m.Leases, next.Leases)
	add("auth", m.Auth, next.Auth)
	add("control", m.Control, next.Control)
	add("callers", m.Callers, next.Callers)
	return keys
}
