package owners

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// runDurable runs a script and learns on the same connection which server ran
// it and how many replicas have its write. WAIT counts for the writes of its
// own connection only, so script and WAIT go out as one pipeline; asked on
// another connection it would answer for somebody else's writes. So would
// INFO: after a failover another connection may reach another server.
//
// With too few replicas the reply is still given: what the script refused is
// refused. The caller asks acked before it believes a yes.
func (s *Store) runDurable(ctx context.Context, sc Script, keys []string, args ...any) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, s.callTimeout())
	defer cancel()
	r, err := s.pipelineDurable(ctx, sc, false, keys, args)
	if redis.HasErrorPrefix(err, "NOSCRIPT") { // nothing ran: the whole pipeline again, with the text
		r, err = s.pipelineDurable(ctx, sc, true, keys, args)
	}
	return r, err
}

func (s *Store) pipelineDurable(ctx context.Context, sc Script, text bool, keys []string, args []any) (reply, error) {
	var ran *redis.Cmd
	var server, replication *redis.StringCmd
	var wait *redis.Cmd
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		if text {
			ran = p.Eval(ctx, sc.src, keys, args...)
		} else {
			ran = p.EvalSha(ctx, sc.sha, keys, args...)
		}
		server, replication = p.Info(ctx, "server"), p.Info(ctx, "replication") // which server has it
		if s.opt.Replicas > 0 {
			wait = p.Do(ctx, "WAIT", s.opt.Replicas, s.waitTimeout().Milliseconds())
		}
		return nil
	})
	if ran.Err() != nil {
		if redis.HasErrorPrefix(ran.Err(), "NOSCRIPT") {
			return reply{}, ran.Err()
		}
		return reply{}, fail("run "+sc.name, true, ran.Err())
	}
	r, derr := decodeReply(ran.Val())
	if derr != nil {
		return r, derr
	}
	if err != nil {
		return reply{}, fail("run "+sc.name, true, err)
	}
	r.runID = runID(server.Val(), replication.Val())
	if wait != nil {
		if r.acked, err = wait.Int64(); err != nil {
			return reply{}, fail("run "+sc.name, true, err)
		}
	} else {
		r.acked = int64(s.opt.Replicas)
	}
	return r, nil
}

// runID names the server and the history it serves. The run id alone would not
// do: a master that was demoted and promoted again keeps it, with other data.
func runID(server, replication string) string {
	return infoField(server, "run_id") + "/" + infoField(replication, "master_replid")
}

// infoField reads one line of INFO.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
