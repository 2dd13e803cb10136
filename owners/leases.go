package owners

import (
	"errors"
	"fmt"
	"time"
)

const (
	// Rho bounds the error of a clock's rate: two clocks that measure the same span differ by at most this share.
	Rho = 1e-3
	// MinLease is the shortest lease of a session.
	MinLease = time.Second
	// DefaultLease is the lease of a session whose host names none.
	DefaultLease = 15 * time.Second
)

// HostSpan is how long a host may use a lease, counted on its own clock from before it sent the renewal.
func HostSpan(lease time.Duration) time.Duration {
	return time.Duration(float64(lease) * (1 - Rho))
}

// WatchSpan is how long a watcher must see a nonce unchanged, on its own
// clock, before the lease is over for certain.
func WatchSpan(lease time.Duration) time.Duration {
	return time.Duration(float64(lease)*(1+Rho)) + 1
}

// Leases are the times of a configuration that depend on each other. A zero
// means: Max 30s, Renew Host/4, Timeout Host/8, Poll Host/15; a zero HoldFor
// or EdgeTimeout is not checked.
type Leases struct {
	Host        time.Duration // lease of the host
	Max         time.Duration // longest lease of any host of the mesh
	Failover    time.Duration // longest failover of the store
	Renew       time.Duration // between renewals
	Timeout     time.Duration // read timeout of a control call
	Poll        time.Duration // between polls of a watcher
	HoldFor     time.Duration // longest time a gateway holds a request
	EdgeTimeout time.Duration // when the edge gives up on a request
}

// CheckLeases holds the inequalities on which the protocol stands; every one that does not hold is named.
func CheckLeases(l Leases) error {
	or := func(d, def time.Duration) time.Duration {
		if d == 0 {
			return def
		}
		return d
	}
	l.Max, l.Renew, l.Timeout = or(l.Max, max(defaultMaxLease, l.Host)), or(l.Renew, l.Host/4), or(l.Timeout, l.Host/8)
	l.Poll = or(l.Poll, l.Host/15)
	var errs []error
	must := func(ok bool, msg string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("%w: "+msg, append([]any{ErrLease}, args...)...))
		}
	}
	must(l.Host >= MinLease, "leases.host is %v, at least %v is needed", l.Host, MinLease)
	must(l.Host <= l.Max, "leases.host is %v, longer than leases.max %v", l.Host, l.Max)
	must(l.Renew > 0 && l.Renew <= l.Host/4, "renewal every %v, must be at most a quarter of leases.host: %v", l.Renew, l.Host/4)
	must(l.Timeout > 0 && l.Timeout <= l.Host/8,
		"read timeout %v, must be at most an eighth of leases.host: %v", l.Timeout, l.Host/8)
	must(l.Host > l.Failover+2*l.Renew,
		"leases.host is %v; a failover (store.failover %v) and two renewals (%v each) must fit: choose a lease above %v",
		l.Host, l.Failover, l.Renew, l.Failover+2*l.Renew)
	must(l.Poll > 0 && l.Poll < l.Host, "poll every %v, must be shorter than leases.host %v", l.Poll, l.Host)
	must(l.HoldFor == 0 || l.EdgeTimeout == 0 || l.HoldFor < l.EdgeTimeout,
		"limits.holdFor is %v, must be shorter than the edge's timeout %v", l.HoldFor, l.EdgeTimeout)
	return errors.Join(errs...)
}
