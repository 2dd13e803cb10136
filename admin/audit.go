package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"
)

// AuditEntry is one change that was asked for through the API.
type AuditEntry struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`   // as the client says
	From   string    `json:"from"` // its address
	Action string    `json:"action"`
	Result string    `json:"result"` // ok, or why not
}

// auditKept is how many entries are kept.
const auditKept = 1000

// audit keeps the entries in the store, newest first.
type audit struct {
	rdb redis.UniversalClient
	key string
	log *slog.Logger
}

// byHeader names the person: the API has no accounts, so this is believed like a signature on paper.
const byHeader = "Skewgate-By"

// actor is who asks, for histories.
func actor(r *http.Request) string {
	if by := r.Header.Get(byHeader); by != "" {
		return by[:min(len(by), 128)]
	}
	return "api"
}

// note writes one entry. A change that has been made is not undone because its
// entry could not be written: then the log alone has it.
func (a *audit) note(r *http.Request, result error) {
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		from = r.RemoteAddr
	}
	e := AuditEntry{At: time.Now().UTC(), By: actor(r), From: from, Action: r.Method + " " + r.URL.RequestURI(), Result: "ok"}
	if result != nil {
		e.Result = result.Error()
	}
	a.log.Info("audit", "by", e.By, "from", e.From, "action", e.Action, "result", e.Result)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 2*time.Second)
	defer cancel()
	if err := a.write(ctx, e); err != nil {
		a.log.Warn("audit entry not kept", "err", err)
	}
}

func (a *audit) write(ctx context.Context, e AuditEntry) error {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode audit entry: %w", err)
	}
	pipe := a.rdb.Pipeline()
	pipe.LPush(ctx, a.key, b)
	pipe.LTrim(ctx, a.key, 0, auditKept-1)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("write audit entry: %w", err)
	}
	return nil
}

func (a *api) getAudit(r *http.Request) (any, error) {
	limit, err := limitOf(r, 100)
	if err != nil {
		return nil, err
	}
	lines, err := a.audit.rdb.LRange(r.Context(), a.audit.key, 0, int64(limit)-1).Result()
	if err != nil {
		return nil, fmt.Errorf("read audit: %w", err)
	}
	out := List[AuditEntry]{Items: make([]AuditEntry, len(lines))}
	for i, l := range lines {
		if err := json.Unmarshal([]byte(l), &out.Items[i]); err != nil {
			return nil, fmt.Errorf("read audit: %w", err)
		}
	}
	return out, nil
}
