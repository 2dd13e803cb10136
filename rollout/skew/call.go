package skew

import "time"

// Call is one finished call, as a gateway saw it.
type Call struct {
	Class         string
	Caller        string        // app@version; "" when the caller did not say or was not believed
	App           string        // of the object
	ObjectVersion string        // version of App that ran it; "" when it reached no host
	Object        string        // id within the class; counted, never kept
	Method        string        // "/pkg.Service/Method", or the route's template
	Code          string        // "" for success, else why it failed
	Latency       time.Duration // until the answer began
	At            time.Time
}

// Words that stand for a caller or method that is not known by name.
const (
	Unidentified = "unidentified" // the caller did not say who it is
	Other        = "other"        // folded together, because MaxRows was reached
)

// Codes that are no failure of the object.
const (
	Canceled     = "canceled"      // the caller went away
	SocketClosed = "socket_closed" // a socket that had been attached was closed by the object's side, as moves do
	Moved        = "moved"         // a stream was closed because its object moves
)

func (k Key) failed() bool {
	return k.Code != "" && k.Code != Canceled && k.Code != SocketClosed && k.Code != Moved
}

// Key is what calls are counted by.
type Key struct {
	Class, Caller, App, Version, Method, Code string
}

func (c *Call) key() Key {
	k := Key{Class: c.Class, Caller: c.Caller, App: c.App, Version: c.ObjectVersion, Method: c.Method, Code: c.Code}
	if k.Caller == "" {
		k.Caller = Unidentified
	}
	return k
}

// pair is what distinct objects are counted by.
type pair struct {
	Class, Caller, App, Version string
}

func (k Key) pair() pair { return pair{k.Class, k.Caller, k.App, k.Version} }

// folded is the key under which calls beyond the cap are counted. The object's
// side stays exact: there are few classes and versions, and hosts name them.
func (k Key) folded() Key {
	return Key{Class: k.Class, Caller: Other, App: k.App, Version: k.Version, Method: Other, Code: k.Code}
}
