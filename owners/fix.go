package owners

import (
	"errors"
	"net"
	"strings"
)

// Fix says what to do about an error of Open or Probe, "" when it is not known.
func Fix(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(text, p) {
				return true
			}
		}
		return false
	}
	var dns *net.DNSError
	switch {
	case errors.Is(err, ErrBadURL):
		return "write it as redis://[user:password@]host:port, rediss://… for TLS, or redis+sentinel://host:port,host:port/MASTER"
	case errors.Is(err, ErrSessions):
		return "hosts may hold leases of before: nothing needs to be done, it opens by itself after leases.max; skewgate hosts list --all"
	case errors.Is(err, ErrNewer):
		return "upgrade this skewgate: a newer one writes to this store; nothing was changed"
	case errors.Is(err, ErrBadRecord):
		return "something else wrote below {p0}: on this server: look at what it is (redis-cli TYPE KEY, HGETALL KEY), and let skewgate have a server, or a user, of its own"
	case errors.As(err, &dns):
		return "is the host's name right? It does not resolve here"
	case has("WRONGPASS", "NOAUTH"):
		return "put the right user and password into the URL, redis://user:password@host:port, each percent-encoded"
	case has("NOPERM", "can't run this command", "No permissions", "ACL failure in script"): // the last one is Valkey's
		return "grant this user what docs/ownership.md lists (\"The least that a Redis user needs\", and for everything); ACL LOG on the server names what was refused"
	case has("READONLY"):
		return "this is a replica: point the URL at the master, or use redis+sentinel://"
	case has("sentinel://") && has("deadline exceeded", "i/o timeout", "all sentinels"):
		return "no sentinel of the URL answers, or none knows a master of that name: redis-cli -h HOST -p 26379 sentinel get-master-addr-by-name MASTER"
	case has("connection refused"):
		return "is the server up, and are host and port right? redis-cli -h HOST -p PORT ping"
	case has("x509:", "tls:", "certificate"):
		return "check ca=, cert=, key= and server_name= in the URL against the server's certificates"
	case has("CLUSTERDOWN", "MOVED ", "CROSSSLOT"):
		return "this is a Redis Cluster, which is not supported yet: use a server that stands alone, or redis+sentinel://"
	case has("LOADING"):
		return "wait until it has loaded its data"
	case has("deadline exceeded", "i/o timeout", "EOF"):
		return "it accepts connections but does not answer: rediss:// for a server without TLS, redis:// for one with it, or a server that hangs"
	}
	return ""
}
