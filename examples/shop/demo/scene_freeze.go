package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// frozen is what the freeze did, for the summary.
type frozen struct {
	host         string
	late         answer // to the request that was running when the host froze
	refused      bool   // the late write was refused by storage
	failedBefore int64  // of the load, before and after
	failedAfter  int64
	takeover     time.Duration
}

type answer struct {
	status int
	body   string
	err    error
}

type cartJSON struct {
	Revision int64 `json:"revision"`
	Items    []struct {
		SKU string `json:"sku"`
	} `json:"items"`
}

// freeze stops a host (SIGSTOP) in the middle of a write for longer than its
// lease, lets its cart go on elsewhere, and thaws it.
func (s *stage) freeze(ctx context.Context) error {
	s.term.heading(fmt.Sprintf("a host freezes for longer than its lease (%v), in the middle of a write", lease))
	const cart = "frozen"
	if a := s.post(ctx, cart, "before", ""); a.err != nil || a.status != http.StatusOK {
		return fmt.Errorf("write to the cart that is to freeze: %d %s %v", a.status, a.body, a.err)
	}
	if _, err := s.show(ctx, "objects", "get", "Cart/"+cart); err != nil {
		return err
	}
	host, err := s.ownerOf(ctx, cart)
	if err != nil {
		return err
	}
	s.frozen.host = host
	s.frozen.failedBefore = s.total().Failed

	late := make(chan answer, 1)
	go func() { late <- s.post(ctx, cart, "too-late", "?think=1s") }()
	if err := pause(ctx, 300*time.Millisecond); err != nil {
		return err
	}
	if err := s.hosts[host].signal(syscall.SIGSTOP); err != nil {
		return err
	}
	stopped := time.Now()
	s.say("SIGSTOP %s while it handles POST /carts/%s/items", host, cart)

	var meanwhile answer
	for ctx.Err() == nil {
		if meanwhile = s.post(ctx, cart, "meanwhile", ""); meanwhile.status == http.StatusOK {
			break
		}
		if time.Since(stopped) > 30*time.Second {
			return fmt.Errorf("the cart was not taken over in 30s: %d %s %v", meanwhile.status, meanwhile.body, meanwhile.err)
		}
	}
	s.frozen.takeover = time.Since(stopped)
	owner, err := s.ownerOf(ctx, cart)
	if err != nil {
		return err
	}
	s.say("%s serves the cart %.1fs later and has written to it: %s", owner, s.frozen.takeover.Seconds(), brief(meanwhile.body))
	return s.thaw(ctx, cart, late)
}

// thaw lets the frozen host go on and looks at what its late write came to.
func (s *stage) thaw(ctx context.Context, cart string, late <-chan answer) error {
	host := s.hosts[s.frozen.host]
	if err := host.signal(syscall.SIGCONT); err != nil {
		return err
	}
	s.say("SIGCONT %s: its handler wakes up and writes", s.frozen.host)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(15 * time.Second):
		return errors.New("the late request was never answered")
	case s.frozen.late = <-late:
	}
	if err := s.processes.until(ctx, "the frozen host's word on its late write", 5*time.Second, func() bool {
		log, err := os.ReadFile(host.log)
		return err == nil && strings.Contains(string(log), "late write refused")
	}); err != nil {
		return err
	}
	s.frozen.refused = true
	for line := range strings.Lines(host.tail(40)) {
		if strings.Contains(line, "late write refused") {
			s.term.output(s.frozen.host + " said: " + line)
			break
		}
	}
	s.say("the late answer was withheld; its client got %d: %s", s.frozen.late.status, brief(s.frozen.late.body))
	var now cartJSON
	a := s.get(ctx, cart)
	if err := json.Unmarshal([]byte(a.body), &now); err != nil {
		return fmt.Errorf("read the cart after the thaw: %d %s %v", a.status, a.body, a.err)
	}
	for _, it := range now.Items {
		if it.SKU == "too-late" {
			return errors.New("the late write is in the cart: two hosts wrote to one object")
		}
	}
	s.say("the cart holds what the new owner wrote and nothing of the late write: %s", brief(a.body))
	if s.frozen.late.status == http.StatusOK {
		return errors.New("the late answer reached its client")
	}
	err := pause(ctx, 2*time.Second)
	s.frozen.failedAfter = s.total().Failed
	return err
}

// ownerOf gives the name of the host that a cart is pinned to.
func (s *stage) ownerOf(ctx context.Context, cart string) (string, error) {
	var o struct {
		Host string `json:"host"`
	}
	err := s.query(ctx, &o, "objects", "get", "Cart/"+cart)
	if err == nil && s.hosts[o.Host] == nil {
		err = fmt.Errorf("cart %s is pinned to %q, which is no host of this demonstration", cart, o.Host)
	}
	return o.Host, err
}

func (s *stage) post(ctx context.Context, cart, sku, query string) answer {
	body := fmt.Sprintf(`{"sku":%q,"quantity":1,"priceCents":100}`, sku)
	return s.do(ctx, http.MethodPost, "/carts/"+cart+"/items"+query, body)
}

func (s *stage) get(ctx context.Context, cart string) answer {
	return s.do(ctx, http.MethodGet, "/carts/"+cart, "")
}

func (s *stage) do(ctx context.Context, method, path, body string) answer {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.edge+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return answer{err: err}
	}
	req.Header.Set("Skewgate-Caller", "web@v2")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return answer{status: resp.StatusCode, body: string(data), err: err}
}

func brief(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 160 {
		s = s[:160] + "…"
	}
	return s
}
