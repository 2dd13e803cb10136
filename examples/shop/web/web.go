// Package web is the worker of the example: it calls carts over gRPC, plain
// HTTP and WebSocket through the edge, under constant load, and says on stdout
// once per interval what it saw. Its two versions differ in their schemas.
package web

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/skewgate/skewgate/caller"
)

// API is shop.v1.CartService as one version of the worker knows it. Calls give
// the cart's revision.
type API interface {
	Add(ctx context.Context, sku string) (int64, error)
	Get(ctx context.Context) (int64, error)
	// Coupon is nil where the version does not know it.
	Coupon() func(ctx context.Context) (int64, error)
	// Watch calls see for each revision until the stream ends.
	Watch(ctx context.Context, see func(int64)) error
}

// Options of a worker.
type Options struct {
	Version  string
	Edge     string // host:port
	Carts    int
	Rate     int // requests per second
	Watchers int // WebSockets held open, and as many gRPC streams
	Prefix   string
	Report   time.Duration
}

// Main runs a worker of one version until SIGTERM.
func Main(version string, connect func(grpc.ClientConnInterface) API) {
	o := Options{Version: version}
	flag.StringVar(&o.Edge, "edge", "127.0.0.1:8080", "host:port of the edge or gateway")
	flag.IntVar(&o.Carts, "carts", 100, "how many carts to use")
	flag.IntVar(&o.Rate, "rate", 100, "requests per second")
	flag.IntVar(&o.Watchers, "watchers", 4, "WebSockets, and as many gRPC streams, to hold open")
	flag.StringVar(&o.Prefix, "prefix", version, "prefix of the cart ids; a cart has one writer")
	flag.DurationVar(&o.Report, "report", 500*time.Millisecond, "how often to print the counts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := Run(ctx, o, connect, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "web "+version+":", err)
		os.Exit(1)
	}
}

type worker struct {
	o      Options
	api    API
	http   *http.Client
	counts *counts

	mu   sync.Mutex // guards seen
	seen []int64    // by cart: highest acknowledged revision
	busy []sync.Mutex
}

// Run puts load on the edge until ctx ends, printing Counts as JSON lines.
func Run(ctx context.Context, o Options, connect func(grpc.ClientConnInterface) API, out io.Writer) error {
	me := caller.Caller{App: "web", Version: o.Version}
	conn, err := grpc.NewClient(o.Edge,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor(me.Unary()),
		grpc.WithChainStreamInterceptor(me.Stream()))
	if err != nil {
		return err
	}
	defer conn.Close()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	w := &worker{
		o: o, api: connect(conn), counts: newCounts(o.Version),
		http: &http.Client{Transport: &caller.Transport{Caller: me, Base: transport}},
		seen: make([]int64, o.Carts), busy: make([]sync.Mutex, o.Carts),
	}
	var tasks sync.WaitGroup
	for i := range o.Watchers {
		tasks.Go(func() { w.watchSocket(ctx, i%o.Carts) })
		tasks.Go(func() { w.watchStream(ctx, (o.Watchers+i)%o.Carts) })
	}
	tasks.Go(func() { w.load(ctx, &tasks) })
	w.report(ctx, out)
	tasks.Wait()
	return json.NewEncoder(out).Encode(w.counts.snapshot())
}

func (w *worker) report(ctx context.Context, out io.Writer) {
	tick := time.NewTicker(w.o.Report)
	defer tick.Stop()
	for enc := json.NewEncoder(out); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if enc.Encode(w.counts.snapshot()) != nil {
				return // whoever read this is gone
			}
		}
	}
}

// load starts requests at a steady rate, however long they take; a cart that
// is still busy is left alone, so each has one writer at a time.
func (w *worker) load(ctx context.Context, tasks *sync.WaitGroup) {
	tick := time.NewTicker(time.Second / time.Duration(w.o.Rate))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			i := rand.IntN(w.o.Carts)
			if !w.busy[i].TryLock() {
				continue
			}
			tasks.Go(func() {
				defer w.busy[i].Unlock()
				w.one(i)
			})
		}
	}
}

// one makes one request and holds the answer against what was acknowledged
// before. It outlives the load's context: a request that has begun is finished.
func (w *worker) one(i int) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	started := time.Now()
	write, revision, err := w.request(ctx, i)
	w.counts.request(time.Since(started), err)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if least := w.seen[i]; revision < least || write && revision == least {
		w.counts.lose()
	}
	w.seen[i] = max(w.seen[i], revision)
}

func (w *worker) request(ctx context.Context, i int) (write bool, revision int64, err error) {
	md := metadata.AppendToOutgoingContext(ctx, "cart-id", w.id(i))
	switch n := rand.IntN(10); {
	case n < 4:
		revision, err = w.api.Add(md, fmt.Sprintf("sku-%d", rand.IntN(5)))
		return true, revision, err
	case n < 6:
		revision, err = w.api.Get(md)
		return false, revision, err
	case n < 7 && w.api.Coupon() != nil:
		revision, err = w.api.Coupon()(md)
		return true, revision, err
	default:
		revision, err = w.getHTTP(ctx, i)
		return false, revision, err
	}
}

func (w *worker) getHTTP(ctx context.Context, i int) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.o.Edge+"/carts/"+w.id(i), nil)
	if err != nil {
		return 0, err
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, problemOf(resp)
	}
	var cart struct {
		Revision int64 `json:"revision"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&cart); err != nil {
		return 0, errors.Join(errors.New("answer is not a cart"), err)
	}
	return cart.Revision, nil
}

// problemOf gives the code of a problem+json answer, which is the same for the
// same cause, or the status alone.
func problemOf(resp *http.Response) error {
	var p struct{ Code, Title string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&p); err != nil || p.Code == "" {
		return fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	return fmt.Errorf("HTTP %d %s: %s", resp.StatusCode, p.Code, p.Title)
}

func (w *worker) id(i int) string { return fmt.Sprintf("%s-%d", w.o.Prefix, i) }
