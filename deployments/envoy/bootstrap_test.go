package envoy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/mesh"
	"github.com/skewgate/skewgate/wire"
)

func parsed(t *testing.T, text string) *mesh.Mesh {
	t.Helper()
	m, err := mesh.Parse("mesh.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const shopMesh = `
apiVersion: skewgate/v1
kind: Mesh
store: {url: embedded}
classes:
  Cart:
    app: shop
    services: [shop.v1.CartService]
    routes: ["/carts/{id}/**", "/mine/cart"]
    id: {header: cart-id}
  Room:
    app: chat
    routes: ["/rooms/{id}/**", "/a.b+c/it's(x)$/{id}"]
  Legacy: {app: legacy, mode: observe, upstream: "legacy.svc:80", routes: ["/legacy/{id}"]}
`

const plainMesh = `
apiVersion: skewgate/v1
kind: Mesh
store: {url: embedded}
classes: {Room: {app: chat, routes: ["/rooms/{id}/**"]}}
`

// Every form of bootstrap that the command can print is taken by the real Envoy.
func TestEnvoyTakesEveryBootstrap(t *testing.T) {
	full, err := os.ReadFile("../../mesh/testdata/right/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"shop": shopMesh, "plain": plainMesh, "full": string(full)} {
		for _, mode := range []Mode{Proxy, Picker} {
			for _, o := range []Options{
				{},
				{PublicClients: true, AccessLog: "/dev/null", Admin: "off", NodeID: "edge \"7\": {", Listen: "[::1]:10000",
					Gateways: []string{"10.0.0.1:8080", "gw.mesh:8080"}, Pickers: []string{"10.0.0.1:8082", "[::1]:8082"}, Controls: []string{"control.mesh:8083", "10.0.0.9:8083"}},
			} {
				o.Mode = mode
				t.Run(fmt.Sprint(name, "/", mode, "/", o.PublicClients), func(t *testing.T) {
					t.Parallel()
					out, err := Bootstrap(parsed(t, text), o)
					if err != nil {
						t.Fatal(err)
					}
					testenv.ValidateEnvoy(t, out)
				})
			}
		}
	}
}

func TestWrongOptionsAreAllNamed(t *testing.T) {
	_, err := Bootstrap(parsed(t, plainMesh), Options{Listen: "x", Admin: "y", Gateways: []string{"z"}, Controls: []string{":1"}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{`listen: "x"`, `admin: "y"`, `gateway: "z"`, `control: ":1"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
	if _, err := Bootstrap(parsed(t, plainMesh), Options{Mode: "both"}); err == nil {
		t.Error("mode both is accepted")
	}
}

// gateways are plain servers that tell what reached them.
func gateways(t *testing.T, n int) (addrs []string) {
	t.Helper()
	for i := range n {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == wire.PathReady {
				return
			}
			w.Header().Set("Gateway", fmt.Sprint(i))
			for name, values := range r.Header {
				if strings.Contains(strings.ToLower(name), "skewgate") || strings.HasPrefix(name, "X-") || strings.HasPrefix(name, "Cloudflare") {
					w.Header()["Saw-"+name] = values
				}
			}
			_, _ = io.WriteString(w, r.URL.RequestURI())
		}))
		if err := s.Listener.Close(); err != nil {
			t.Fatal(err)
		}
		s.Listener = testenv.Listen(t)
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetHTTP1(true)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
		t.Cleanup(s.Close)
		addrs = append(addrs, s.Listener.Addr().String())
	}
	return addrs
}

// edge is a real Envoy in proxy mode before n gateways.
func edge(t *testing.T, n int, o Options) (url string) {
	t.Helper()
	admin := fmt.Sprint("127.0.0.1:", testenv.Port(t))
	o.Mode, o.Admin, o.Listen = Proxy, admin, fmt.Sprint("127.0.0.1:", testenv.Port(t))
	if o.Gateways == nil {
		o.Gateways = gateways(t, n)
	}
	out, err := Bootstrap(parsed(t, shopMesh), o)
	if err != nil {
		t.Fatal(err)
	}
	testenv.StartEnvoy(t, out, admin)
	return "http://" + o.Listen
}

func do(t *testing.T, method, url string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header[header[i]] = append(req.Header[header[i]], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// One object reaches one gateway, by path or by header; objects spread.
func TestObjectsAreHashedToGateways(t *testing.T) {
	url := edge(t, 3, Options{})
	used := map[string]bool{}
	for i := range 40 {
		id := fmt.Sprint("cart-", i)
		want := do(t, "GET", url+"/carts/"+id+"/items?n=1").Header.Get("Gateway")
		used[want] = true
		for _, resp := range []*http.Response{
			do(t, "GET", url+"/carts/"+id),
			do(t, "POST", url+"/carts/"+id+"/checkout?x=/carts/other"),
			do(t, "POST", url+"/shop.v1.CartService/Add", "Cart-Id", id),
			do(t, "GET", url+"/mine/cart", "Cart-Id", id),
		} {
			if got := resp.Header.Get("Gateway"); got != want {
				t.Errorf("%s %s went to gateway %s, others of %s to %s", resp.Request.Method, resp.Request.URL, got, id, want)
			}
		}
	}
	if len(used) != 3 {
		t.Errorf("40 objects used gateways %v of 3", used)
	}
}

func TestClientsCannotSpeakForGateways(t *testing.T) {
	forged := []string{}
	for _, name := range wire.TrustedNames() {
		forged = append(forged, name, "forged", strings.ToUpper(name), "forged")
	}
	forged = append(forged, "x-skewgate-anything", "forged", "x-envoy-retry-on", "5xx", "x-gateway-destination-endpoint", "10.0.0.1:1", "X-Skewgate-Caller", "forged")
	said := []string{"Skewgate-Caller", "web@v1", "Skewgate-Preview", "pr-1", "Cloudflare-Workers-Version-Key", "k"}

	url := edge(t, 1, Options{})
	resp := do(t, "GET", url+"/carts/8812", append(said, forged...)...)
	for name, values := range resp.Header {
		if strings.Contains(strings.Join(values, " "), "forged") || strings.Contains(strings.ToLower(name), "x-envoy-retry-on") || strings.Contains(strings.ToLower(name), "destination") {
			t.Errorf("the gateway saw %s: %v", name, values)
		}
	}
	if got := resp.Header.Get("Saw-Skewgate-Caller"); got != "web@v1" {
		t.Errorf("the caller's own word did not arrive: %q", got)
	}
	for _, path := range []string{wire.PathRelease, wire.PathReady} {
		if resp := do(t, "POST", url+path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s is open to clients: %s", path, resp.Status)
		}
	}
	if resp := do(t, "GET", url+"/carts/8812", "Skewgate_Session", "forged"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("an underscore spelling got %s", resp.Status)
	}

	public := edge(t, 1, Options{PublicClients: true})
	resp = do(t, "GET", public+"/carts/8812", said...)
	for name := range resp.Header {
		if strings.Contains(name, "Skewgate") || strings.Contains(name, "Cloudflare") {
			t.Errorf("a public client's %s arrived", name)
		}
	}
}

func TestEncodedIDsPassUnchanged(t *testing.T) {
	url := edge(t, 1, Options{})
	resp := do(t, "GET", url+"/carts/a%2Fb%20c%25/items")
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "/carts/a%2Fb%20c%25/items" {
		t.Errorf("arrived as %q, %v", body, err)
	}
}

// A gateway that is gone costs no request: what did not reach it goes to another.
func TestADeadGatewayFailsNoRequest(t *testing.T) {
	addrs := append(gateways(t, 1), fmt.Sprint("127.0.0.1:", testenv.Port(t)))
	url := edge(t, 0, Options{Gateways: addrs})
	for i := range 50 {
		if resp := do(t, "POST", url+fmt.Sprint("/carts/", i)); resp.StatusCode != http.StatusOK {
			t.Fatalf("request %d: %s", i, resp.Status)
		}
	}
}
