package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/host/storage"
)

// profiles is a table of one's own with a version column:
//
//	CREATE TABLE profiles (id text PRIMARY KEY, body bytea NOT NULL, fence text NOT NULL, version bigint NOT NULL)
type profiles struct{ db *sql.DB }

func (p profiles) Load(ctx context.Context, id string) (body []byte, fence, version string, err error) {
	err = p.db.QueryRowContext(ctx, `SELECT body, fence, version FROM profiles WHERE id = $1`, id).Scan(&body, &fence, &version)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, "", "", nil
	}
	return body, fence, version, err
}

func (p profiles) Store(ctx context.Context, id string, body []byte, fence, version string) (newVersion string, err error) {
	if body == nil {
		body = []byte{}
	}
	if version == "" {
		err = p.db.QueryRowContext(ctx, `INSERT INTO profiles VALUES ($1, $2, $3, 1) ON CONFLICT DO NOTHING RETURNING version`, id, body, fence).Scan(&newVersion)
	} else {
		err = p.db.QueryRowContext(ctx, `UPDATE profiles SET body = $2, fence = $3, version = version + 1 WHERE id = $1 AND version::text = $4 RETURNING version`,
			id, body, fence, version).Scan(&newVersion)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return "", storage.ErrPrecondition
	}
	return newVersion, err
}

// bucket is a store over HTTP with ETags. Where an ETag is a hash of the
// content, the fence must be part of the content: here it is the first line.
type bucket struct {
	url    string
	client *http.Client
}

func (b bucket) Load(ctx context.Context, id string) (data []byte, fence, version string, err error) {
	res, err := b.do(ctx, http.MethodGet, id, nil, nil)
	if err != nil {
		return nil, "", "", err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNotFound {
		return nil, "", "", nil
	}
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("load %s: %s", id, res.Status)
	}
	first, data, _ := bytes.Cut(body, []byte("\n"))
	return data, string(first), res.Header.Get("ETag"), err
}

func (b bucket) Store(ctx context.Context, id string, data []byte, fence, version string) (string, error) {
	condition := http.Header{"If-Match": {version}}
	if version == "" {
		condition = http.Header{"If-None-Match": {"*"}}
	}
	res, err := b.do(ctx, http.MethodPut, id, condition, append([]byte(fence+"\n"), data...))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusPreconditionFailed:
		return "", storage.ErrPrecondition
	case http.StatusOK, http.StatusCreated, http.StatusNoContent:
		return res.Header.Get("ETag"), nil
	}
	return "", fmt.Errorf("store %s: %s", id, res.Status)
}

func (b bucket) do(ctx context.Context, method, id string, header http.Header, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, b.url+"/"+url.PathEscape(id), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	return b.client.Do(r)
}

// profile is an object whose state is a document in a store of its own.
type profile struct {
	doc *storage.Document
	Hat string
}

// openProfile gives an Activate: claim and load.
func openProfile(store storage.Conditional) host.Activate {
	return func(ctx context.Context, o *host.Object) (http.Handler, error) {
		doc, err := o.Document(ctx, store)
		if err != nil {
			return nil, err
		}
		p := &profile{doc: doc}
		if len(doc.Data()) > 0 {
			err = json.Unmarshal(doc.Data(), p)
		}
		return p, err
	}
}

func (p *profile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if hat := r.URL.Query().Get("hat"); hat != "" {
		data, err := json.Marshal(profile{Hat: hat})
		if err == nil {
			err = p.doc.Save(r.Context(), data)
		}
		if err != nil { // the activation has ended; the client gets stale_instance
			fail(w, err)
			return
		}
		p.Hat = hat
	}
	fmt.Fprint(w, p.Hat)
}
