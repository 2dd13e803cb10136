package owners_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/owners/ownerstest"
)

// leastACL is what docs/ownership.md tells to grant.
const leastACL = "~{p0}:* resetchannels -@all +ping +hello +select +info +time +wait +scan +eval +evalsha " +
	"+hget +hset +hmget +hgetall +hincrby +hsetnx +exists +persist +pexpire +sadd +srem +smembers +scard " +
	"+set +zadd +zrange +zremrangebyscore"

func TestRedisWithAnACLUser(t *testing.T) {
	t.Parallel()
	// What the suite itself needs beyond the store: emptying it and breaking records.
	rules := strings.Fields(leastACL + " +flushdb +del +pttl +script|flush")
	addr := testenv.Redis(t, append([]string{"--user", "gate", "on", ">s3:cr@t"}, rules...)...)
	ownerstest.Run(t, func(t *testing.T) *owners.Store {
		return open(t, owners.Options{URL: "redis://gate:s3%3Acr%40t@" + addr})
	})
	_, err := owners.Open(t.Context(), owners.Options{URL: "redis://gate:guess@" + addr})
	if !errors.Is(err, owners.ErrUnavailable) || strings.Contains(err.Error(), "guess") {
		t.Errorf("wrong password: %v", err)
	}
}

func TestRedisOverTLS(t *testing.T) {
	t.Parallel()
	ca := testenv.NewCA(t)
	cert, key := ca.Issue("server")
	port := testenv.Port(t)
	testenv.StartRedis(t, "--tls-port", fmt.Sprint(port), "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", ca.File, "--requirepass", "pw")
	base := fmt.Sprintf("rediss://:pw@127.0.0.1:%d", port)
	mutual := fmt.Sprintf("%s?ca=%s&cert=%s&key=%s", base, ca.File, cert, key)
	owned(t, open(t, owners.Options{URL: mutual}), owners.Key{Class: "Cart", ID: "1"})
	for name, url := range map[string]string{
		"no client certificate": base + "?ca=" + ca.File,
		"no TLS":                strings.Replace(base, "rediss", "redis", 1),
		"unknown CA":            base,
		"wrong name":            mutual + "&server_name=other",
	} {
		if _, err := owners.Open(t.Context(), owners.Options{URL: url}); !errors.Is(err, owners.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStoreURLs(t *testing.T) {
	for url, want := range map[string]string{
		"redis://127.0.0.1:6379":                         "redis://127.0.0.1:6379/0 0 0s",
		"redis://h?replicas=1":                           "redis://h:6379/0 1 0s",
		"redis://u:p%40@h:1/4?failover=3s":               "redis://h:1/4 0 3s",
		"redis://[::1]:7000/2":                           "redis://[::1]:7000/2 0 0s",
		"redis+sentinel://a,b:26380/main?replicas=2":     "redis+sentinel://a:26379,b:26380/main/0 2 5s",
		"redis+sentinel://:pw@a:1/main/3?failover=700ms": "redis+sentinel://a:1/main/3 0 700ms",
		"rediss+sentinel://a/main":                       "rediss+sentinel://a:26379/main/0 0 5s",
		"rediss://h:1":                                   "rediss://h:1/0 0 0s",
	} {
		got, err := owners.ParseURL(url)
		if s := fmt.Sprintf("%s %d %v", got.Redacted(), got.Replicas, got.Failover); err != nil || s != want {
			t.Errorf("%s: %s, %v; want %s", url, s, err, want)
		}
	}
	if got, err := owners.ParseURL("redis://me:p%40ss@h:1"); err != nil || got.Username != "me" || got.Password != "p@ss" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, url := range []string{
		"", "localhost:6379", "http://h:1", "redis://", "redis://h:0", "redis://h:70000", "redis://h:x", "redis://a,b",
		"redis://h/x", "redis://h/-1", "redis://h?replicas=-1", "redis://h?replicas=one", "redis://h?replica=1", "redis://h?failover=5",
		"redis://h?ca=/etc/ca.pem", "rediss://h?ca=/does/not/exist", "redis+sentinel://h", "redis+sentinel://h/", "redis://%zz:x@h", "redis://h?%zz",
	} {
		if got, err := owners.ParseURL(url); !errors.Is(err, owners.ErrBadURL) {
			t.Errorf("%q: %+v, %v", url, got, err)
		}
	}
}
