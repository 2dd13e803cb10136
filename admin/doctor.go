package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout"
	"github.com/skewgate/skewgate/rollout/skew"
)

// Check is one line of the doctor's report.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Fatal  bool   `json:"fatal,omitempty"` // an error; without it, a warning
	Detail string `json:"detail,omitempty"`
	Fix    string `json:"fix,omitempty"`
}

// Doctor is the report.
type Doctor struct {
	Checks   []Check `json:"checks"`
	Errors   int     `json:"errors"`
	Warnings int     `json:"warnings"`
}

func (d *Doctor) add(cs ...Check) {
	for _, c := range cs {
		switch {
		case c.OK:
		case c.Fatal:
			d.Errors++
		default:
			d.Warnings++
		}
		d.Checks = append(d.Checks, c)
	}
}

func (a *api) getDoctor(r *http.Request) (any, error) {
	d := &Doctor{}
	ctx := r.Context()
	d.add(a.checkStore(ctx)...)
	v, err := a.view(ctx)
	if err != nil {
		d.add(Check{Name: "records", Fatal: true, Detail: err.Error(), Fix: "is the store reachable from the control process?"})
		return d, nil
	}
	d.add(checkHosts(a.opt.Classes(), v)...)
	d.add(a.checkWatchers(ctx))
	d.add(a.checkGateways(ctx))
	d.add(checkRollouts(v)...)
	d.add(checkProxies(a.proxies())...)
	return d, nil
}

func (a *api) checkStore(ctx context.Context) []Check {
	found, err := a.opt.Store.Probe(ctx)
	if err != nil {
		return []Check{{Name: "store", Fatal: true, Detail: err.Error(), Fix: "is the store up, and is store.url right?"}}
	}
	return DoctorOf(found).Checks
}

// DoctorOf is the report on a store alone.
func DoctorOf(found []owners.Check) Doctor {
	var d Doctor
	for _, c := range found {
		d.add(Check{Name: "store " + c.Name, OK: c.OK, Fatal: c.Fatal, Detail: c.Detail, Fix: c.Fix})
	}
	return d
}

// checkHosts: each class needs a ready host, each deployed version too.
func checkHosts(classes []routing.Class, v *view) []Check {
	var out []Check
	for _, c := range classes {
		if c.Mode == routing.ModeObserve {
			continue
		}
		hosts := v.usableHosts(c)
		total := 0
		var names []string
		for version, n := range hosts {
			total += n
			names = append(names, fmt.Sprintf("%s ×%d", version, n))
		}
		slices.Sort(names)
		check := Check{Name: "hosts of " + c.Name, OK: total > 0, Fatal: true, Detail: strings.Join(names, ", ")}
		if total == 0 {
			check.Detail, check.Fix = "none is ready", fmt.Sprintf("start a host of app %s that serves class %s; skewgate hosts list --all", c.App, c.Name)
		}
		if rec := v.records[c.App]; rec != nil && total > 0 {
			for _, d := range rec.Deployment {
				if d.Weight > 0 && hosts[d.Name] == 0 {
					check.OK, check.Fatal = false, false
					check.Detail = fmt.Sprintf("%s is deployed and has no ready host; others stand in", d.Name)
					check.Fix = "start hosts of " + d.Name + ", or skewgate rollout start " + c.App + " --to VERSION"
				}
			}
		}
		out = append(out, check)
	}
	return out
}

func (a *api) checkWatchers(ctx context.Context) Check {
	ids, err := a.opt.Store.Watchers(ctx)
	switch {
	case err != nil:
		return Check{Name: "watchers", Fatal: true, Detail: err.Error()}
	case len(ids) == 0:
		return Check{Name: "watchers", Fatal: true, Detail: "nobody watches the sessions: a dead host keeps its objects", Fix: "run skewgate serve"}
	}
	return Check{Name: "watchers", OK: true, Detail: fmt.Sprintf("%d", len(ids))}
}

func (a *api) checkGateways(ctx context.Context) Check {
	answer, err := a.opt.Skew.Query(ctx, skew.Query{Since: time.Minute}, nil)
	if err != nil {
		return Check{Name: "gateways", Detail: err.Error()}
	}
	e := answer.Evidence
	c := Check{Name: "gateways", OK: e.Complete(), Detail: fmt.Sprintf("%d of %d report, %s ago", e.Seen, e.Expected, time.Duration(e.Age).Round(100*time.Millisecond))}
	switch {
	case e.Expected == 0:
		c.Detail, c.Fix = "none reports", "run skewgate serve --role gateway"
	case !e.Complete():
		c.Detail += "; silent: " + strings.Join(e.Missing, ", ")
		c.Fix = "can they reach the store? A gateway that is gone for good is forgotten after " + skew.ForgetAfter.String()
	}
	return c
}

func checkRollouts(v *view) []Check {
	var out []Check
	for app, rec := range v.records {
		ro := rec.Rollout
		if ro == nil || ro.Phase != rollout.Paused && ro.Phase != rollout.Frozen {
			continue
		}
		out = append(out, Check{
			Name: "rollout of " + app, Detail: fmt.Sprintf("to %s, %s: %s", ro.Spec.To, ro.Phase, ro.Reason),
			Fix: "skewgate rollout status " + app,
		})
	}
	slices.SortFunc(out, func(x, y Check) int { return strings.Compare(x.Name, y.Name) })
	return out
}

func checkProxies(proxies []Proxy) []Check {
	var out []Check
	for _, p := range proxies {
		for _, t := range p.Types {
			if t.Status == "NACKED" {
				out = append(out, Check{Name: "proxy " + p.Node, Detail: t.Type + " refused: " + t.Nack, Fix: "it uses what it had before; skewgate proxies"})
			}
		}
	}
	if len(proxies) > 0 && len(out) == 0 {
		out = append(out, Check{Name: "proxies", OK: true, Detail: fmt.Sprintf("%d, none refuses its configuration", len(proxies))})
	}
	return out
}

// readyz says whether this process can do its work; ?verbose lists why not.
func (a *api) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	checks := []Check{{Name: "store", OK: true}}
	if err := a.opt.Store.Redis().Ping(ctx).Err(); err != nil {
		checks[0] = Check{Name: "store", Detail: err.Error()}
	}
	if a.opt.Ready != nil {
		checks = append(checks, a.opt.Ready(ctx)...)
	}
	ready := !slices.ContainsFunc(checks, func(c Check) bool { return !c.OK })
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if !r.URL.Query().Has("verbose") {
		fmt.Fprintln(w, map[bool]string{true: "ok", false: "not ready"}[ready])
		return
	}
	for _, c := range checks {
		mark := "[+]"
		if !c.OK {
			mark = "[-]"
		}
		fmt.Fprintln(w, strings.TrimSpace(mark+c.Name+" "+c.Detail))
	}
}
