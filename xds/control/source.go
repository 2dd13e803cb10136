package control

import (
	"context"
	"log/slog"
	"time"

	"github.com/skewgate/skewgate/owners"
)

// source reads one part of the intent again and again.
type source[T any] struct {
	name  string
	every time.Duration
	read  func(context.Context) (T, error)
	log   *slog.Logger
}

// run hands each answer to put. A failure leaves what was said last; it is
// logged when it begins and when it ends. poke asks for an answer now.
func (s source[T]) run(ctx context.Context, poke <-chan struct{}, put func(T)) {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	failing := false
	for {
		v, err := s.once(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			failing = true
			s.log.Error("cannot read; what was read last stays", "source", s.name, "error", err)
		case err == nil:
			if failing {
				failing = false
				s.log.Info("can read again", "source", s.name)
			}
			put(v)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-poke:
		}
	}
}

func (s source[T]) once(ctx context.Context) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	return s.read(ctx)
}

// sessions reads those that can be read. One that cannot (a newer skewgate
// wrote it, or somebody else) keeps no other host out; it is logged when that changes.
type sessions struct {
	of   Sessions
	log  *slog.Logger
	said string // about which ones; only the goroutine that reads uses it
}

func (s *sessions) read(ctx context.Context) ([]owners.Session, error) {
	found, err := s.of.Sessions(ctx)
	if err != nil && found == nil {
		return nil, err
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != s.said {
		s.said = text
		if err != nil {
			s.log.Warn("session passed over", "error", err)
		}
	}
	return found, nil
}
