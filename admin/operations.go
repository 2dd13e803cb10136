package admin

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout"
	"github.com/skewgate/skewgate/rollout/skew"
)

// Skew asks who talks to whom.
func (c *Client) Skew(ctx context.Context, q skew.Query) (Skew, error) {
	return get[Skew](ctx, c, "/skew", values("class", q.Class, "caller", q.Caller, "app", q.App, "since", duration(q.Since)))
}

// CanI asks whether something may be done with a version.
func (c *Client) CanI(ctx context.Context, q skew.Question, app, version string, since time.Duration) (CanI, error) {
	return get[CanI](ctx, c, path("can-i", string(q), app, version), values("since", duration(since)))
}

// Rollouts lists the newest rollout of every app.
func (c *Client) Rollouts(ctx context.Context) (List[Rollout], error) {
	return get[List[Rollout]](ctx, c, "/rollouts", nil)
}

// Rollout gives an app's newest rollout.
func (c *Client) Rollout(ctx context.Context, app string) (Rollout, error) {
	return get[Rollout](ctx, c, path("rollouts", app), nil)
}

// StartRollout starts one.
func (c *Client) StartRollout(ctx context.Context, s RolloutStart) (Rollout, error) {
	return post[Rollout](ctx, c, path("rollouts", s.App), s)
}

// PreviewRollout says what a start would do.
func (c *Client) PreviewRollout(ctx context.Context, s RolloutStart) (RolloutPreview, error) {
	return post[RolloutPreview](ctx, c, path("rollouts", s.App, "preview"), s)
}

// ActOnRollout pauses, resumes, promotes, aborts, undoes or retries.
func (c *Client) ActOnRollout(ctx context.Context, app, action string, ask rollout.Ask) (Rollout, error) {
	return post[Rollout](ctx, c, path("rollouts", app, action), ask)
}

// RolloutHistory gives an app's changes, newest first.
func (c *Client) RolloutHistory(ctx context.Context, app string, limit int) (List[RolloutChange], error) {
	return get[List[RolloutChange]](ctx, c, path("rollouts", app, "history"), values("limit", count(limit)))
}

// ObjectQuery narrows a list of objects. Zero values mean everything.
type ObjectQuery struct {
	Class, Version, Host, State string
	Moving                      bool   // only those not on their assigned version
	Limit                       int    // about so many; 100
	Cursor                      string // of an earlier answer: what follows
}

// Objects lists pins, a page at a time: Cursor of the answer, unless empty, asks for the next.
func (c *Client) Objects(ctx context.Context, q ObjectQuery) (List[Object], error) {
	moving := ""
	if q.Moving {
		moving = strconv.FormatBool(true)
	}
	return get[List[Object]](ctx, c, "/objects", values("class", q.Class, "version", q.Version, "host", q.Host, "state", q.State,
		"moving", moving, "limit", count(q.Limit), "cursor", q.Cursor))
}

// Object gives one object.
func (c *Client) Object(ctx context.Context, k owners.Key) (Object, error) {
	return get[Object](ctx, c, object(k), nil)
}

// MoveObject moves one object now.
func (c *Client) MoveObject(ctx context.Context, k owners.Key, m ObjectMove) (MovedObject, error) {
	return post[MovedObject](ctx, c, object(k, "move"), m)
}

// TryMoveObject says where MoveObject would move it, or why not.
func (c *Client) TryMoveObject(ctx context.Context, k owners.Key, m ObjectMove) (out MovedObject, err error) {
	err = c.do(ctx, http.MethodPost, object(k, "move"), values("dryRun", "true"), m, &out)
	return out, err
}

// ObjectHistory gives an object's moves, newest first.
func (c *Client) ObjectHistory(ctx context.Context, k owners.Key, limit int) (List[ObjectMoved], error) {
	return get[List[ObjectMoved]](ctx, c, object(k, "history"), values("limit", count(limit)))
}

// HostQuery narrows a list of hosts. Zero values mean everything alive.
type HostQuery struct {
	App, Version string
	All          bool // those that are closed or dead, too
}

// Hosts lists sessions.
func (c *Client) Hosts(ctx context.Context, q HostQuery) (List[Host], error) {
	all := ""
	if q.All {
		all = strconv.FormatBool(true)
	}
	return get[List[Host]](ctx, c, "/hosts", values("app", q.App, "version", q.Version, "all", all))
}

// Host gives one host with what it says itself.
func (c *Client) Host(ctx context.Context, name string) (Host, error) {
	return get[Host](ctx, c, path("hosts", name), nil)
}

// ActOnHost cordons, uncordons or drains.
func (c *Client) ActOnHost(ctx context.Context, name, action string) (Host, error) {
	return post[Host](ctx, c, path("hosts", name, action), nil)
}

// TryActOnHost says what ActOnHost would do, or why not.
func (c *Client) TryActOnHost(ctx context.Context, name, action string) (out Host, err error) {
	err = c.do(ctx, http.MethodPost, path("hosts", name, action), values("dryRun", "true"), nil, &out)
	return out, err
}

// Versions lists an app's versions; all apps' for "".
func (c *Client) Versions(ctx context.Context, app string) (List[Version], error) {
	return get[List[Version]](ctx, c, "/versions", values("app", app))
}

// Version gives one version.
func (c *Client) Version(ctx context.Context, app, version string) (Version, error) {
	return get[Version](ctx, c, path("versions", app, version), nil)
}

// Proxies lists xDS clients.
func (c *Client) Proxies(ctx context.Context) (List[Proxy], error) {
	return get[List[Proxy]](ctx, c, "/proxies", nil)
}

// Schemas lists registered versions of an app; of all apps for "".
func (c *Client) Schemas(ctx context.Context, app string) (List[Schema], error) {
	return get[List[Schema]](ctx, c, "/schemas", values("app", app))
}

// Schema gives one registered version with its descriptors.
func (c *Client) Schema(ctx context.Context, app, version string) (Schema, error) {
	return get[Schema](ctx, c, path("schemas", app, version), nil)
}

// PushSchema registers a version.
func (c *Client) PushSchema(ctx context.Context, app, version string, push SchemaPush) (Schema, error) {
	var out Schema
	err := c.do(ctx, http.MethodPut, path("schemas", app, version), nil, push, &out)
	return out, err
}

// RetireSchema takes a version out of the matrices.
func (c *Client) RetireSchema(ctx context.Context, app, version string) (Schema, error) {
	return post[Schema](ctx, c, path("schemas", app, version, "retire"), nil)
}

// Matrices gives what is known about each class.
func (c *Client) Matrices(ctx context.Context, class string) (List[Matrix], error) {
	return get[List[Matrix]](ctx, c, "/matrix", values("class", class))
}

// Doctor looks whether the mesh is healthy.
func (c *Client) Doctor(ctx context.Context) (Doctor, error) {
	return get[Doctor](ctx, c, "/doctor", nil)
}

// Audit gives the changes that were asked for, newest first.
func (c *Client) Audit(ctx context.Context, limit int) (List[AuditEntry], error) {
	return get[List[AuditEntry]](ctx, c, "/audit", values("limit", count(limit)))
}
