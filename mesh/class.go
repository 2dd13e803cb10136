package mesh

import (
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

var (
	appName     = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9._]{0,62})$`)
	serviceName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)
)

// class judges one class alone.
func (v *validator) class(name string, c classYAML) {
	path := func(key ...string) []string { return append(at("classes", name), key...) }
	if err := (owners.Key{Class: name, ID: "x"}).Validate(); err != nil {
		v.fail(path(), "use letters, digits and hyphens, as in Cart", "%s", strings.TrimPrefix(err.Error(), owners.ErrBadKey.Error()+": "))
	}
	switch {
	case c.App == "":
		v.fail(path("app"), "name the app whose hosts run "+name, "class %s has no app", name)
	case !appName.MatchString(c.App):
		v.fail(path("app"), "use letters, digits, hyphens, dots and underscores, at most 63", "app %q is not a usable name", c.App)
	}
	v.oneOf(path("mode"), c.Mode, string(routing.ModeOwn), string(routing.ModeAffinity), string(routing.ModeObserve))
	v.oneOf(path("onIncompatible"), c.OnIncompatible, string(routing.Pass), string(routing.Refuse), string(routing.Upgrade))
	v.oneOf(path("move", "mode"), c.Move.Mode, string(routing.MoveLazy), string(routing.MoveDrain), string(routing.MoveNow))
	v.upstream(path, c)
	v.reachable(name, path, c)
	v.moveAndLimits(path, c)
}

func (v *validator) upstream(path func(...string) []string, c classYAML) {
	observe := c.Mode == string(routing.ModeObserve)
	switch {
	case observe && c.Upstream == "":
		v.fail(path("upstream"), "name the address that serves the class today, HOST:PORT", "mode observe needs an upstream")
	case !observe && c.Upstream != "":
		v.fail(path("upstream"), "hosts register themselves; remove it, or use mode: observe", "upstream is for mode observe only")
	case c.Upstream != "":
		if host, port, err := net.SplitHostPort(c.Upstream); err != nil || host == "" || port == "" || port == "0" {
			v.fail(path("upstream"), "write HOST:PORT", "upstream %q is not host:port", c.Upstream)
		}
	}
}

// reachable holds that requests find the class and that each names its object.
func (v *validator) reachable(name string, path func(...string) []string, c classYAML) {
	if len(c.Services)+len(c.Routes) == 0 {
		v.fail(path(), `add services: [pkg.Service] or routes: ["/path/{id}/**"]`, "no request reaches class %s: it has neither services nor routes", name)
	}
	for i, s := range c.Services {
		if !serviceName.MatchString(s) {
			v.fail(path("services", strconv.Itoa(i)), "write the full protobuf name, as in shop.v1.CartService", "service %q is not a protobuf service name", s)
		}
	}
	noID := -1
	for i, r := range c.Routes {
		t, err := routing.ParseTemplate(r)
		if err != nil {
			v.fail(path("routes", strconv.Itoa(i)), `write a path such as /carts/{id}/**; {id} is the object, * one segment, ** at the end the rest`, "route %q: %v", r, err)
			continue
		}
		if !t.HasID && noID < 0 {
			noID = i
		}
	}
	header := c.ID.Header
	switch {
	case header == "" && len(c.Services) > 0:
		v.fail(path("id"), "add id: {header: NAME}, the metadata key that callers send", "class %s has gRPC services but no id.header: nothing would say which object is meant", name)
	case header == "" && noID >= 0:
		v.fail(path("routes", strconv.Itoa(noID)), "put {id} in the path, or add id: {header: NAME}", "route %q names no object", c.Routes[noID])
	case header != "":
		v.idHeader(path("id", "header"), header)
	}
}

func (v *validator) idHeader(path []string, header string) {
	switch h := strings.ToLower(header); {
	case !httpguts.ValidHeaderFieldName(header) || strings.Contains(header, "_"):
		v.fail(path, "use lower-case letters, digits and hyphens, as in cart-id", "id.header %q is not a usable header name", header)
	case wire.Trusted(h) || strings.HasPrefix(h, "skewgate-") || strings.HasPrefix(h, "grpc-") || strings.HasSuffix(h, "-bin"):
		v.fail(path, "choose a name of your own, as in cart-id", "id.header %q is reserved", header)
	case h == "host" || h == "connection" || h == "transfer-encoding" || h == "content-length" || h == "te" || h == "trailer" || h == "upgrade" || h == "keep-alive" || h == "proxy-connection":
		v.fail(path, "choose a name of your own, as in cart-id", "id.header %q belongs to HTTP itself", header)
	}
}

func (v *validator) moveAndLimits(path func(...string) []string, c classYAML) {
	if c.Move.InFlight < 0 {
		v.fail(path("move", "inFlight"), "0 means no limit", "move.inFlight is negative")
	}
	v.positive(path("move", "deadline"), c.Move.Deadline)
	v.positive(path("move", "idle"), c.Move.Idle)
	v.positive(path("limits", "holdFor"), c.Limits.HoldFor)
	if c.Limits.HeldPerObject < 1 {
		v.fail(path("limits", "heldPerObject"), "at least 1", "limits.heldPerObject is %d", c.Limits.HeldPerObject)
	}
}

func (v *validator) positive(path []string, d time.Duration) {
	if d <= 0 {
		v.fail(path, "give a time such as 10s", "%s is %s", strings.Join(path[2:], "."), d)
	}
}
