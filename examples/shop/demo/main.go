// Command demo runs the whole of skewgate on this machine: the embedded store,
// control, a gateway, a real Envoy in front, and the example shop in two
// versions under constant load; it rolls objects from one version to the next,
// freezes a host, and says what happened.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

type options struct {
	exit   bool
	noEdge bool
	carts  int
	rate   int
	dir    string
}

// starter runs functions on main's thread, see startLocked.
var starter = make(chan func())

func main() {
	runtime.LockOSThread()
	var o options
	flag.BoolVar(&o.exit, "exit", false, "end after the summary, with status 0 only if no request failed other than by the frozen host")
	flag.BoolVar(&o.noEdge, "no-edge", false, "no Envoy in front: clients talk to the gateway")
	flag.IntVar(&o.carts, "carts", 200, "how many carts each worker uses")
	flag.IntVar(&o.rate, "rate", 120, "requests per second of each worker")
	flag.StringVar(&o.dir, "dir", ".run", "where binaries, configuration and logs go")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	done := make(chan int)
	go func() { done <- demo(ctx, o) }()
	for {
		select {
		case f := <-starter:
			f()
		case code := <-done:
			stop()
			os.Exit(code)
		}
	}
}

// demo is the demonstration, step by step; it returns the exit status.
func demo(ctx context.Context, o options) int {
	s := &stage{o: o, term: newTerm(os.Stdout), started: time.Now()}
	defer s.processes.stopAll()
	err := s.play(ctx)
	switch {
	case err != nil && ctx.Err() != nil: // whatever failed, failed because of it
		s.say("stopped")
		return 130
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	case !s.clean():
		return 1
	case o.exit:
		return 0
	}
	s.invite()
	<-ctx.Done()
	s.say("stopping everything that was started")
	return 0
}

// play runs the scenes in order.
func (s *stage) play(ctx context.Context) error {
	for _, scene := range []func(context.Context) error{
		s.build,
		s.open,
		s.plan,
		s.rollout,
		s.newWorkers,
		s.freeze,
		s.summary,
	} {
		if err := scene(ctx); err != nil {
			return err
		}
		if p := s.processes.ended(); p != nil {
			return fmt.Errorf("%s ended by itself; the end of %s:\n%s", p.name, p.log, p.tail(8))
		}
	}
	return nil
}
