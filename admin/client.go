package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/skewgate/skewgate/owners"
)

// Client speaks the API. Methods return an *Error when the API answered with one.
type Client struct {
	URL   string // http://127.0.0.1:8081
	Token string
	By    string // who asks, for histories and the audit list
	HTTP  *http.Client

	Patience time.Duration // for one whole answer; 0: a minute, where something changes 6½ minutes
}

// ErrUnreachable says that nobody answered.
var ErrUnreachable = errors.New("the admin API cannot be reached")

// path joins escaped segments. "." and ".." are valid ids and must not be
// taken for places in the path.
func path(segments ...string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		switch s {
		case ".":
			b.WriteString("%2E")
		case "..":
			b.WriteString("%2E%2E")
		default:
			b.WriteString(url.PathEscape(s))
		}
	}
	return b.String()
}

// do sends one request and decodes the answer into out.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, body, out any) error {
	u := strings.TrimSuffix(c.URL, "/") + "/v1" + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	var send io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		send = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, u, send)
	if err != nil {
		return fmt.Errorf("admin URL %q: %w", c.URL, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if c.By != "" {
		req.Header.Set(byHeader, c.By)
	}
	patience := c.patience(method)
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%w at %s: no whole answer within %s", ErrUnreachable, c.URL, patience))
	defer cancel()
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req.WithContext(ctx))
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w at %s: %w", ErrUnreachable, c.URL, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("read answer of %s: %w", req.URL.Redacted(), err)
	}
	return decodeAnswer(res, answer, out)
}

// maxAnswer bounds what is read of an answer. A schema as it was pushed is the
// longest that the API gives, with some words around it.
const maxAnswer = maxBody + 1<<20

// patience is how long to wait for the end of an answer: somewhat longer than
// the API takes.
func (c *Client) patience(method string) time.Duration {
	switch {
	case c.Patience > 0:
		return c.Patience
	case method == http.MethodGet:
		return 2 * answerWithin
	default:
		return maxWait + answerWithin
	}
}

func decodeAnswer(res *http.Response, body []byte, out any) error {
	if len(body) > maxAnswer {
		return fmt.Errorf("answer of %s is longer than %d MiB: this is no admin API", res.Request.URL.Redacted(), maxAnswer>>20)
	}
	if res.StatusCode >= 300 {
		e := &Error{Status: res.StatusCode}
		if json.Unmarshal(body, e) != nil || e.Code == "" {
			return fmt.Errorf("answer of %s: %s: %.200q", res.Request.URL.Redacted(), res.Status, body)
		}
		return e
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("answer of %s is not what this version expects: %w", res.Request.URL.Redacted(), err)
	}
	return nil
}

func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	var out T
	err := c.do(ctx, http.MethodGet, path, query, nil, &out)
	return out, err
}

func post[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	var out T
	err := c.do(ctx, http.MethodPost, path, nil, body, &out)
	return out, err
}

// values makes a query of pairs; empty values are left out.
func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

func duration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func object(k owners.Key, more ...string) string {
	return path(append([]string{"objects", k.Class, k.ID}, more...)...)
}
