package owners

import (
	"context"
	"crypto/sha1" //nolint:gosec // the name that Redis gives a Script
	"embed"
	"encoding/hex"
	"fmt"
	"strings"
)

//go:embed scripts/*.lua
var scriptFiles embed.FS

// A Script is a Lua script, called by its digest.
type Script struct {
	name, src, sha string

	// Of a script that takes several calls at once: how many keys and arguments
	// stand first, once for all of them. It answers a list with one reply for each.
	keys, args int
}

func (s Script) many() bool { return s.keys > 0 }

type scripts struct {
	acquire, release, confirm, pin             Script
	register, renew, drain, close, dead, want  Script
	meta, epochBegin, epochOpen, init, collect Script
	beat, raise                                Script
}

func loadScripts() (scripts, error) {
	var all scripts
	for name, to := range map[string]*Script{
		"acquire": &all.acquire, "release": &all.release, "confirm": &all.confirm, "pin": &all.pin,
		"register": &all.register, "renew": &all.renew, "drain": &all.drain, "close": &all.close,
		"dead": &all.dead, "want": &all.want, "meta": &all.meta, "epoch_begin": &all.epochBegin,
		"epoch_open": &all.epochOpen, "init": &all.init, "collect": &all.collect, "beat": &all.beat,
		"raise": &all.raise,
	} {
		src, err := scriptFiles.ReadFile("scripts/" + name + ".lua")
		if err != nil {
			return scripts{}, err
		}
		*to = NewScript(name, string(src))
	}
	all.acquire.keys, all.acquire.args = 2, 1 // epoch and session; sid
	return all, nil
}

// NewScript makes a script of its source; name is for errors.
func NewScript(name, src string) Script {
	var kept []string // comment lines stay here: the text travels whenever the server has forgotten it
	for line := range strings.Lines(src) {
		if t := strings.TrimSpace(line); t != "" && !strings.HasPrefix(t, "--") {
			kept = append(kept, line)
		}
	}
	src = strings.Join(kept, "")
	sum := sha1.Sum([]byte(src)) //nolint:gosec // not for security
	return Script{name: name, src: src, sha: hex.EncodeToString(sum[:])}
}

// run runs a script by its digest, and by its text when the server has
// forgotten it (restart, failover, SCRIPT FLUSH).
func (s *Store) run(ctx context.Context, sc Script, keys []string, args ...any) (reply, error) {
	v, _, err := s.calls.Run(ctx, sc, keys, args...)
	if err != nil {
		return reply{}, fail("run "+sc.name, true, err)
	}
	return decodeReply(v)
}

func (s *Store) acked(r reply) error {
	if r.acked < int64(s.opt.Replicas) {
		return fmt.Errorf("%w: %d of %d replicas have it", ErrUnknown, r.acked, s.opt.Replicas)
	}
	return nil
}
