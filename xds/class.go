package xds

import "github.com/skewgate/skewgate/gateway/routing"

func classFields(c routing.Class) fields {
	f := fields{}
	f.text("name", c.Name)
	f.text("app", c.App)
	f.text("mode", string(c.Mode))
	f.texts("services", c.Services)
	f.texts("routes", c.Routes)
	f.text("idHeader", c.IDHeader)
	f.text("onIncompatible", string(c.OnIncompatible))
	f.flag("strictVersion", c.StrictVersion)
	f.text("upstream", c.Upstream)

	move := fields{}
	move.text("mode", string(c.Move.Mode))
	move.number("rate", c.Move.Rate)
	move.integer("inFlight", int64(c.Move.InFlight))
	move.duration("deadline", c.Move.Deadline)
	move.duration("idle", c.Move.Idle)
	f.sub("move", move)

	limits := fields{}
	limits.duration("holdFor", c.Limits.HoldFor)
	limits.integer("heldPerObject", int64(c.Limits.HeldPerObject))
	limits.integer("heldBytes", c.Limits.HeldBytes)
	f.sub("limits", limits)
	return f
}

func readClass(r reader) routing.Class {
	move, limits := r.sub("move"), r.sub("limits")
	return routing.Class{
		Name:           r.text("name"),
		App:            r.text("app"),
		Mode:           word(r, "mode", routing.ModeOwn, routing.ModeAffinity, routing.ModeObserve),
		Services:       r.texts("services"),
		Routes:         r.texts("routes"),
		IDHeader:       r.text("idHeader"),
		OnIncompatible: word(r, "onIncompatible", "", routing.Pass, routing.Refuse, routing.Upgrade),
		StrictVersion:  r.flag("strictVersion"),
		Upstream:       r.text("upstream"),
		Move: routing.Move{
			Mode:     word(move, "mode", "", routing.MoveLazy, routing.MoveDrain, routing.MoveNow),
			Rate:     move.number("rate"),
			InFlight: int(move.integer("inFlight")),
			Deadline: move.duration("deadline"),
			Idle:     move.duration("idle"),
		},
		Limits: routing.Limits{
			HoldFor:       limits.duration("holdFor"),
			HeldPerObject: int(limits.integer("heldPerObject")),
			HeldBytes:     limits.integer("heldBytes"),
		},
	}
}

func appFields(a routing.App) fields {
	f := fields{}
	f.text("name", a.Name)
	var versions []fields
	for _, w := range a.Deployment {
		v := fields{}
		v.text("version", w.Version)
		v.number("weight", w.Weight)
		v.text("salt", w.Salt)
		versions = append(versions, v)
	}
	f.structs("deployment", versions)
	return f
}

func readApp(r reader) routing.App {
	a := routing.App{Name: r.text("name")}
	for _, v := range r.structs("deployment") {
		a.Deployment = append(a.Deployment, routing.Weighted{Version: v.text("version"), Weight: v.number("weight"), Salt: v.text("salt")})
	}
	return a
}

func incompatibleFields(m routing.Incompatible) fields {
	f := fields{}
	f.text("class", m.Class)
	f.text("caller", m.Caller)
	f.text("object", m.Object)
	f.text("method", m.Method)
	f.text("rule", m.Rule)
	f.text("message", m.Message)
	return f
}

func readIncompatible(r reader) routing.Incompatible {
	return routing.Incompatible{
		Class: r.text("class"), Caller: r.text("caller"), Object: r.text("object"),
		Method: r.text("method"), Rule: r.text("rule"), Message: r.text("message"),
	}
}

func unreadableFields(u routing.Unreadable) fields {
	f := fields{}
	f.text("class", u.Class)
	f.text("writer", u.Writer)
	f.text("reader", u.Reader)
	f.text("rule", u.Rule)
	f.text("message", u.Message)
	return f
}

func readUnreadable(r reader) routing.Unreadable {
	return routing.Unreadable{
		Class: r.text("class"), Writer: r.text("writer"), Reader: r.text("reader"), Rule: r.text("rule"), Message: r.text("message"),
	}
}
