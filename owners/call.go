package owners

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// A call is one script with what it is run with; done is closed when the rest stands.
type call struct {
	script Script
	keys   []string
	args   []any
	done   chan struct{}

	v      any
	acked  int64 // replicas that have its writes
	shared bool  // its script ran for others as well
	err    error
}

// joins says whether one execution of their script can answer c and d: it takes
// several calls, and the two have in common what it takes once.
func (c *call) joins(d *call) bool {
	s := c.script
	if !s.many() || s.sha != d.script.sha {
		return false
	}
	for i := range s.keys {
		if c.keys[i] != d.keys[i] {
			return false
		}
	}
	for i := range s.args {
		if c.args[i] != d.args[i] {
			return false
		}
	}
	return true
}

// A command is one execution of a script, for one call or for several.
type command struct {
	calls []*call
	sent  *redis.Cmd
}

// lookBack is among how many commands a call looks for one that it can join.
const lookBack = 8

// together makes as few commands of calls as may be.
func together(calls []*call) []*command {
	var all []*command
next:
	for _, c := range calls {
		for _, with := range all[max(0, len(all)-lookBack):] {
			if with.calls[0].joins(c) {
				with.calls = append(with.calls, c)
				continue next
			}
		}
		all = append(all, &command{calls: []*call{c}})
	}
	return all
}

// alone makes a command of each call.
func alone(calls []*call) []*command {
	all := make([]*command, len(calls))
	for i := range calls {
		all[i] = &command{calls: calls[i : i+1]}
	}
	return all
}

// queue puts the command into a pipeline.
func (c *command) queue(ctx context.Context, p redis.Pipeliner, text bool) {
	first := c.calls[0]
	s, keys, args := first.script, first.keys, first.args
	if len(c.calls) > 1 {
		keys, args = append([]string(nil), keys...), append([]any(nil), args...)
		for _, call := range c.calls[1:] {
			keys, args = append(keys, call.keys[s.keys:]...), append(args, call.args[s.args:]...)
		}
	}
	if text {
		c.sent = p.Eval(ctx, s.src, keys, args...)
	} else {
		c.sent = p.EvalSha(ctx, s.sha, keys, args...)
	}
}

// answer gives each call its part of what the script answered. broken is why the pipeline broke, if it did.
func (c *command) answer(v any, err, broken error) {
	if err == nil && v == nil {
		err = broken // before it was sent
	}
	var parts []any
	if many := c.calls[0].script.many(); many && err == nil {
		var ok bool
		if parts, ok = v.([]any); !ok || len(parts) != len(c.calls) {
			err = fmt.Errorf("%w: %d calls were answered %v", ErrBadRecord, len(c.calls), v)
		}
	}
	for i, call := range c.calls {
		call.v, call.err, call.shared = v, err, len(c.calls) > 1
		if err == nil && parts != nil {
			call.v = parts[i]
		}
	}
}

// forgotten says that the server did not know the script, which has not run.
func (c *call) forgotten() bool { return redis.HasErrorPrefix(c.err, "NOSCRIPT") }

// failedForAll says that the script failed, and ran for other calls as well.
func (c *call) failedForAll() bool {
	var reply redis.Error
	return c.shared && errors.As(c.err, &reply)
}

func those(calls []*call, are func(*call) bool) (some []*call) {
	for _, c := range calls {
		if are(c) {
			some = append(some, c)
		}
	}
	return some
}
