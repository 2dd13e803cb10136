package owners

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// ErrBadURL says that a string is not the URL of a store.
var ErrBadURL = errors.New("invalid store URL")

// Target is a parsed store URL.
type Target struct {
	Addrs    []string // the server, or the sentinels
	Master   string   // name of the master at the sentinels, "" without Sentinel
	Username string
	Password string
	DB       int
	Replicas int           // ?replicas=
	Failover time.Duration // ?failover=, 5s with Sentinel
	TLS      *tls.Config   // nil without

	sentinelUser, sentinelPassword string
}

// sentinelFailover is the default bound of a failover by Sentinel: down-after-milliseconds 2000 to 3000, vote, promotion.
const sentinelFailover = 5 * time.Second

// ParseURL reads the URL of a store:
//
//	redis://[user:password@]host:port[/db]
//	rediss://…                                 the same over TLS
//	redis+sentinel://[user:password@]host:port,host:port,…/master[/db]
//	rediss+sentinel://…                        TLS to the sentinels and to the servers
//
// with the parameters replicas=N, failover=5s, sentinel_user=, sentinel_password=,
// ca=FILE, cert=FILE, key=FILE and server_name=.
func ParseURL(s string) (Target, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return Target{}, fmt.Errorf("%w: want redis://host:port, rediss://… or redis+sentinel://…", ErrBadURL)
	}
	var t Target
	secure, sentinel := false, false
	switch scheme {
	case "redis":
	case "rediss":
		secure = true
	case "redis+sentinel":
		sentinel = true
	case "rediss+sentinel":
		secure, sentinel = true, true
	default:
		return Target{}, fmt.Errorf("%w: scheme %q is not redis, rediss, redis+sentinel or rediss+sentinel", ErrBadURL, scheme)
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if err := t.parseAuthority(authority, sentinel); err != nil {
		return Target{}, err
	}
	if err := t.parsePath(path, sentinel); err != nil {
		return Target{}, err
	}
	if err := t.parseQuery(query, secure, sentinel); err != nil {
		return Target{}, err
	}
	return t, nil
}

func (t *Target) parseAuthority(a string, sentinel bool) error {
	hosts := a
	if i := strings.LastIndex(a, "@"); i >= 0 {
		user, password, _ := strings.Cut(a[:i], ":")
		var err1, err2 error
		t.Username, err1 = url.PathUnescape(user)
		t.Password, err2 = url.PathUnescape(password)
		if err1 != nil || err2 != nil {
			return fmt.Errorf("%w: user or password is not percent-encoded", ErrBadURL)
		}
		hosts = a[i+1:]
	}
	port := "6379"
	if sentinel {
		port = "26379"
	}
	for h := range strings.SplitSeq(hosts, ",") {
		host, p, err := net.SplitHostPort(h)
		if err != nil {
			host, p = strings.Trim(h, "[]"), port
		}
		if n, err := strconv.Atoi(p); host == "" || err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("%w: %q is not host:port", ErrBadURL, h)
		}
		t.Addrs = append(t.Addrs, net.JoinHostPort(host, p))
	}
	if len(t.Addrs) > 1 && !sentinel {
		return fmt.Errorf("%w: more than one host; use redis+sentinel:// for Sentinel", ErrBadURL)
	}
	return nil
}

func (t *Target) parsePath(path string, sentinel bool) error {
	db := path
	if sentinel {
		t.Master, db, _ = strings.Cut(path, "/")
		if t.Master == "" {
			return fmt.Errorf("%w: redis+sentinel://host:port/MASTER needs the master's name", ErrBadURL)
		}
	}
	if db == "" {
		return nil
	}
	n, err := strconv.Atoi(db)
	if err != nil || n < 0 {
		return fmt.Errorf("%w: database %q is not a number", ErrBadURL, db)
	}
	t.DB = n
	return nil
}

func (t *Target) parseQuery(query string, secure, sentinel bool) error {
	q, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrBadURL, err)
	}
	if sentinel {
		t.Failover = sentinelFailover
	}
	for name, values := range q {
		v := values[len(values)-1]
		var err error
		switch name {
		case "replicas":
			if t.Replicas, err = strconv.Atoi(v); err == nil && t.Replicas < 0 {
				err = errors.New("negative")
			}
		case "failover":
			if t.Failover, err = time.ParseDuration(v); err == nil && t.Failover < 0 {
				err = errors.New("negative")
			}
		case "sentinel_user":
			t.sentinelUser = v
		case "sentinel_password":
			t.sentinelPassword = v
		case "ca", "cert", "key", "server_name":
			if !secure {
				err = errors.New("only with rediss://")
			}
		default:
			err = errors.New("there is no such parameter")
		}
		if err != nil {
			return fmt.Errorf("%w: %s=%s: %v", ErrBadURL, name, v, err)
		}
	}
	if secure {
		return t.parseTLS(q)
	}
	return nil
}

func (t *Target) parseTLS(q url.Values) error {
	t.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: q.Get("server_name")}
	if f := q.Get("ca"); f != "" {
		pem, err := os.ReadFile(f)
		if err != nil {
			return fmt.Errorf("%w: ca: %w", ErrBadURL, err)
		}
		t.TLS.RootCAs = x509.NewCertPool()
		if !t.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%w: ca: %s holds no PEM certificate", ErrBadURL, f)
		}
	}
	if q.Get("cert") != "" || q.Get("key") != "" {
		c, err := tls.LoadX509KeyPair(q.Get("cert"), q.Get("key"))
		if err != nil {
			return fmt.Errorf("%w: cert, key: %w", ErrBadURL, err)
		}
		t.TLS.Certificates = []tls.Certificate{c}
	}
	if t.TLS.ServerName == "" && t.Master == "" {
		t.TLS.ServerName, _, _ = net.SplitHostPort(t.Addrs[0])
	}
	return nil
}

// Redacted names the target without its password.
func (t Target) Redacted() string {
	scheme := "redis"
	if t.TLS != nil {
		scheme = "rediss"
	}
	if t.Master == "" {
		return fmt.Sprintf("%s://%s/%d", scheme, t.Addrs[0], t.DB)
	}
	return fmt.Sprintf("%s+sentinel://%s/%s/%d", scheme, strings.Join(t.Addrs, ","), t.Master, t.DB)
}

// connections is how many a client may hold of each kind, far more than it
// ever needs. The client library counts dials that failed, and when they are as
// many as that it looks for the server once a second only. With the ten of its default a host would
// renew up to a second after its store has come back, and lose a short lease over it.
const connections = 1 << 14

// client makes the client for control calls: short timeouts that contexts can
// shorten, one retry (every script may be sent twice). Dialling is tried once for
// each of them: the client's own five tries with pauses take as long as a call may,
// and its caller would hear of a deadline instead of the refused connection.
func (t Target) client(o Options) redis.UniversalClient {
	if t.Master != "" {
		return redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: t.Master, SentinelAddrs: t.Addrs,
			SentinelUsername: t.sentinelUser, SentinelPassword: t.sentinelPassword,
			Username: t.Username, Password: t.Password, DB: t.DB, TLSConfig: t.TLS, Dialer: o.Dial,
			Protocol: 2, MaxRetries: 1, DialerRetries: 1, DialTimeout: o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout,
			PoolSize: connections, PipelinePoolSize: connections, ContextTimeoutEnabled: true, DisableIdentity: true,
		})
	}
	return redis.NewClient(&redis.Options{
		Addr: t.Addrs[0], Username: t.Username, Password: t.Password, DB: t.DB, TLSConfig: t.TLS, Dialer: o.Dial,
		Protocol: 2, MaxRetries: 1, DialerRetries: 1, DialTimeout: o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout,
		PoolSize: connections, PipelinePoolSize: connections, ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}
