package main

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/skewgate/skewgate/examples/shop/v1/cartpb"
	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

func TestMain(m *testing.M) {
	if os.Getenv("RUN_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// While its store is away the process logs what the library says, and nothing else is printed.
func TestNothingIsPrintedWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	secret := t.TempDir() + "/secret"
	if err := os.WriteFile(secret, testmesh.Secret, 0o600); err != nil {
		t.Fatal(err)
	}
	redis := testenv.StartRedis(t)
	addr := "127.0.0.1:" + strconv.Itoa(testenv.Port(t))
	env := []string{"RUN_MAIN=1", "STORE=redis://" + redis.Addr, "LISTEN=" + addr, "SKEWGATE_SECRET_FILE=" + secret}
	p := testenv.StartProcess(t, "host", env, os.Args[0])
	p.WaitForOutput("INFO registered")
	redis.Kill()
	p.WaitForOutput("WARN renewal failed")
	for line := range strings.Lines(p.Output()) {
		if !strings.Contains(line, " INFO ") && !strings.Contains(line, " WARN ") {
			t.Errorf("printed: %s", line)
		}
	}
}

// startShop runs all classes of newShop.
func startShop(t *testing.T) (*testmesh.Mesh, *host.Host) {
	t.Helper()
	m := testmesh.New(t, testmesh.Embedded(t))
	o := m.Options("one")
	h, err := newShop(o)
	if err != nil {
		t.Fatal(err)
	}
	m.Run(o.Listener.Addr().String(), h.Run)
	return m, h
}

// The twenty lines, as a process: it serves, and SIGTERM ends it in good order.
func TestTwentyLines(t *testing.T) {
	t.Parallel()
	secret := t.TempDir() + "/secret"
	if err := os.WriteFile(secret, testmesh.Secret, 0o600); err != nil {
		t.Fatal(err)
	}
	m := testmesh.New(t, "redis://"+testenv.Redis(t))
	addr := "127.0.0.1:" + strconv.Itoa(testenv.Port(t))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "RUN_MAIN=1", "STORE="+m.URL, "LISTEN="+addr, "SKEWGATE_SECRET_FILE="+secret)
	cmd.Stderr = testmesh.LogWriter(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended already
	m.Until("the host is ready", func() bool { s, ok := m.SessionAt(addr); return ok && s.Ready })
	k := owners.Key{Class: "Cart", ID: "8812"}
	m.Must(k, http.MethodPost, "/?sku=apple", "", 200)
	if a := m.Must(k, http.MethodPost, "/?sku=apple", "", 200); a.Body != "2" {
		t.Errorf("%s apples, want 2", a.Body)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	if pin, sess, _, err := m.Store.Pin(t.Context(), k); err != nil || pin.State == owners.Owned && !sess.State.Final() {
		t.Errorf("after SIGTERM the pin is %+v of %+v, %v", pin, sess, err)
	}
}

func TestStorageCalls(t *testing.T) {
	t.Parallel()
	e, err := owners.StartEmbedded("127.0.0.1:0", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	st := newStorage(t, 1, e.URL()[len("redis://"):])
	entries, err := calls(t.Context(), st)
	if err != nil || len(entries) != 2 || entries[0].Key != "item/pear" || string(entries[0].Value) != "2" {
		t.Errorf("calls: %v, %v", entries, err)
	}
	for _, want := range []string{"1", "0", "0"} { // the third finds nothing left to move
		if err := move(t.Context(), st, "item/apple", "item/pear"); err != nil {
			t.Fatal(err)
		}
		if v, err := st.Get(t.Context(), "item/apple"); err != nil || string(v) != want {
			t.Errorf("%s apples, %v; want %s", v, err, want)
		}
	}
	if v, err := st.Get(t.Context(), "item/pear"); err != nil || string(v) != "4" {
		t.Errorf("%s pears, %v; want 4", v, err)
	}
	if err := st.Put(t.Context(), "k", make([]byte, 128<<10+1)); !errors.Is(err, storage.ErrLimit) {
		t.Errorf("a value that is too large: %v", err)
	}
}

func TestEveryClassOfTheShop(t *testing.T) {
	t.Parallel()
	m, _ := startShop(t)
	if a := m.Must(owners.Key{Class: "Cart", ID: "1"}, http.MethodPost, "/?sku=apple", "", 200); a.Body != "1" {
		t.Errorf("cart: %s", a.Body)
	}
	m.Must(owners.Key{Class: "Order", ID: "1"}, http.MethodPost, "/", "", http.StatusNoContent)
	for _, class := range []string{"Basket", "Nothing"} { // one is gRPC only, the other is not there
		c := m.Owner(owners.Key{Class: "Cart", ID: "1"})
		k := owners.Key{Class: class, ID: "1"}
		if class == "Basket" {
			c = m.Owner(k)
		}
		if a, _, err := m.Send(m.Request(t.Context(), k, c, http.MethodGet, "/", http.NoBody)); err != nil || a.Code() != "no_route" {
			t.Errorf("%s over HTTP: %d %s, %v", class, a.Status, a.Body, err)
		}
	}
}

// release lets an object go; the function that it gives waits for the end of that.
func release(m *testmesh.Mesh, k owners.Key) (wait func()) {
	ended := make(chan wire.ReleaseReply, 1)
	go func() { ended <- m.Release(k, wire.ReleaseNow, testmesh.Lease) }()
	return func() {
		if r := <-ended; !r.Released {
			m.T.Errorf("release: %+v", r)
		}
	}
}

func TestRoom(t *testing.T) {
	t.Parallel()
	m, _ := startShop(t)
	k := owners.Key{Class: "Room", ID: "1"}
	c := m.Owner(k)
	stream := m.Request(t.Context(), k, c, http.MethodGet, "/", http.NoBody)
	stream.Header.Set("Accept", "text/event-stream")
	res, err := m.Client.Do(stream)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if line, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil || line != "data: welcome\n" {
		t.Errorf("the stream of events begins with %q, %v", line, err)
	}
	header := http.Header{}
	m.Stamp(header, k, c)
	conn, _, err := websocket.Dial(t.Context(), "ws://"+c.Addr+"/", &websocket.DialOptions{HTTPHeader: header}) // beside the stream
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, msg, err := conn.Read(t.Context()); err != nil || string(msg) != "hello" {
		t.Errorf("the room says %q, %v", msg, err)
	}
	defer release(m, k)()
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != 1012 {
		t.Errorf("after a release: %v, want close code 1012", err)
	}
}

func TestBasket(t *testing.T) {
	t.Parallel()
	m, _ := startShop(t)
	k := owners.Key{Class: "Basket", ID: "1"}
	c := m.Owner(k)
	conn, err := grpc.NewClient(c.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	header := http.Header{}
	m.Stamp(header, k, c)
	ctx := t.Context()
	for name, values := range header {
		ctx = metadata.AppendToOutgoingContext(ctx, name, values[0])
	}
	client := cartpb.NewCartServiceClient(conn)
	watch, err := client.WatchCart(ctx, &cartpb.GetCartRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	got, err := client.AddItem(ctx, &cartpb.AddItemRequest{Sku: "apple", Quantity: 1}) // beside the stream
	if err != nil || len(got.GetItems()) != 1 {
		t.Errorf("add: %v, %v", got, err)
	}
	defer release(m, k)()
	if _, err := watch.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ends with %v, want UNAVAILABLE", err)
	}
}

// An order asks before it pays, so that one that has lost its object does not.
func TestOrderThatIsStaleDoesNotPay(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	paid := make(chan string, 10)
	made := make(chan *order, 10)
	m.Start("one", func(ctx context.Context, o *host.Object) (http.Handler, error) {
		v, err := openOrder(ctx, o)
		v.(*order).pay = func(_ context.Context, key string) error { paid <- key; return nil }
		made <- v.(*order)
		return v, err
	})
	k := owners.Key{Class: "Cart", ID: "1"} // the class that testmesh starts
	m.Must(k, http.MethodPost, "/", "", http.StatusNoContent)
	if key := <-paid; key != "Cart/1" {
		t.Errorf("paid with key %s", key)
	}
	stale := <-made
	if r := m.Release(k, wire.ReleaseNow, testmesh.Lease); !r.Released {
		t.Fatalf("release: %+v", r)
	}
	if err := stale.o.Confirm(t.Context()); !errors.Is(err, host.ErrStale) {
		t.Errorf("confirm of what was released: %v, want ErrStale", err)
	}
	if len(paid) != 0 {
		t.Error("it was paid twice")
	}
}

// pinger is a database that is away.
type pinger struct{ err error }

func (p *pinger) Ping() error { return p.err }

func TestOptions(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	o := m.Options("one")
	o.Listener.Close()
	secret := t.TempDir() + "/secret"
	if err := os.WriteFile(secret, testmesh.Secret, 0o600); err != nil {
		t.Fatal(err)
	}
	c := configured(o)
	c.SecretFile = secret
	if _, err := host.New(c); err != nil {
		t.Errorf("the options of docs/host.md: %v", err)
	}
	db := &pinger{}
	if r := ready(o, db); !r.Ready() {
		t.Error("not ready with a database that is there")
	}
	db.err = errors.New("away")
	if r := ready(o, db); r.Ready() {
		t.Error("ready without its database")
	}
}

// With certificates a gateway gets in by its name, and nobody else.
func TestCertificates(t *testing.T) {
	m := testmesh.New(t, testmesh.Embedded(t))
	ca := testenv.NewCA(t)
	cert, key := ca.Issue("host-a")
	t.Chdir(t.TempDir())
	for name, file := range map[string]string{"host-a.pem": cert, "host-a.key": key, "ca.pem": ca.File} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := m.Options("one")
	defer o.Listener.Close()
	if _, err := host.New(withCertificates(o)); err != nil {
		t.Errorf("the certificates of docs/host.md: %v", err)
	}
	if err := os.Remove("ca.pem"); err != nil {
		t.Fatal(err)
	}
	if _, err := host.New(withCertificates(o)); !errors.Is(err, host.ErrOptions) {
		t.Errorf("without the authority: %v, want ErrOptions", err)
	}
}
