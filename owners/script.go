package owners

import (
	"context"
	"crypto/sha1" //nolint:gosec // the name that Redis gives a script
	"embed"
	"encoding/hex"
	"fmt"
	"strings"
)

//go:embed scripts/*.lua
var scriptFiles embed.FS

// A script is one rule of the protocol; its file says what it checks and answers.
type script struct {
	name, src, sha string
}

type scripts struct {
	acquire, release, confirm, pin             script
	register, renew, drain, close, dead, want  script
	meta, epochBegin, epochOpen, init, collect script
	beat                                       script
}

func loadScripts() (scripts, error) {
	var all scripts
	for name, to := range map[string]*script{
		"acquire": &all.acquire, "release": &all.release, "confirm": &all.confirm, "pin": &all.pin,
		"register": &all.register, "renew": &all.renew, "drain": &all.drain, "close": &all.close,
		"dead": &all.dead, "want": &all.want, "meta": &all.meta, "epoch_begin": &all.epochBegin,
		"epoch_open": &all.epochOpen, "init": &all.init, "collect": &all.collect, "beat": &all.beat,
	} {
		src, err := scriptFiles.ReadFile("scripts/" + name + ".lua")
		if err != nil {
			return scripts{}, err
		}
		*to = newScript(name, string(src))
	}
	return all, nil
}

func newScript(name, src string) script {
	var kept []string // comment lines stay here: the text travels whenever the server has forgotten it
	for line := range strings.Lines(src) {
		if t := strings.TrimSpace(line); t != "" && !strings.HasPrefix(t, "--") {
			kept = append(kept, line)
		}
	}
	src = strings.Join(kept, "")
	sum := sha1.Sum([]byte(src)) //nolint:gosec // not for security
	return script{name: name, src: src, sha: hex.EncodeToString(sum[:])}
}

// run runs a script by its digest, and by its text when the server has
// forgotten it (restart, failover, SCRIPT FLUSH).
func (s *Store) run(ctx context.Context, sc script, keys []string, args ...any) (reply, error) {
	v, err := s.calls.do(ctx, &call{script: sc, keys: keys, args: args})
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
