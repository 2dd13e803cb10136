package skew

import (
	"strings"
	"testing"
	"time"
)

// known is a mesh in which finishing v42 is right: everything on it, every
// caller known and compatible, a day of evidence from every gateway.
func known() Facts {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	return Facts{
		App: "shop", Version: "v42", Classes: []string{"Cart"},
		Answer: &Answer{
			Evidence: Evidence{At: now, From: now.Add(-24 * time.Hour), Since: now.Add(-48 * time.Hour), Seen: 3, Expected: 3},
			Lines:    []Line{{Caller: "web@v7", Class: "Cart", App: "shop", Version: "v42", Calls: 1000, Last: now}},
		},
		Calling: &Answer{},
		Matrices: Matrices{"Cart": {Class: "Cart", App: "shop", Objects: []string{"v41", "v42"}, Callers: []string{"web@v7", "batch@v40"},
			State: []StateCell{{Writer: "v41", Reader: "v42", Verdict: OK}, {Writer: "v42", Reader: "v41", Verdict: OK}}}},
		Weights: map[string]float64{"v42": 100}, Objects: map[string]int{"v42": 100}, Hosts: map[string]int{"v42": 3},
	}
}

func TestCanI(t *testing.T) {
	for _, c := range []struct {
		name string
		q    Question
		edit func(*Facts)
		want string
		says string
	}{
		{"finish, all is well", Finish, func(*Facts) {}, "yes", ""},
		{"finish, objects on the old version", Finish, func(f *Facts) { f.Objects["v41"] = 8112 }, "no", "8112 objects still run on v41"},
		{"finish, not all assigned", Finish, func(f *Facts) { f.Weights = map[string]float64{"v41": 80, "v42": 20} }, "no", "v42 is assigned 20 %"},
		{"finish, no deployment", Finish, func(f *Facts) { f.Weights = nil }, "no", "no deployment"},
		{"finish, no host", Finish, func(f *Facts) { f.Hosts = nil }, "no", "no ready host"},
		{"finish, an incompatible caller was seen", Finish, func(f *Facts) {
			f.Answer.Lines = append(f.Answer.Lines, Line{Caller: "batch@v40", Class: "Cart", App: "shop", Version: "v41", Calls: 3, Last: f.Answer.Evidence.At.Add(-4 * time.Minute)})
			f.Matrices["Cart"].Incompatible = []Incompatible{{Caller: "batch@v40", Object: "v42", Method: "/AddV1", Rule: "METHOD_REMOVED"}}
		}, "no", "batch@v40 called Cart 4m0s ago (3 calls) and is incompatible with v42: METHOD_REMOVED /AddV1"},
		{"finish, a caller without a schema", Finish, func(f *Facts) { f.Matrices["Cart"].Callers = nil }, "unknown", "the registry cannot say whether it understands v42"},
		{"finish, a gateway is silent", Finish, func(f *Facts) { f.Answer.Evidence.Seen, f.Answer.Evidence.Missing = 2, []string{"gw-3"} }, "unknown", "2 of 3 gateways report; silent: gw-3"},
		{"finish, no gateway", Finish, func(f *Facts) { f.Answer.Evidence.Seen, f.Answer.Evidence.Expected = 0, 0 }, "unknown", "no gateway reports"},
		{"finish, tallies too short", Finish, func(f *Facts) { f.Answer.Evidence.Since = f.Answer.Evidence.At.Add(-3 * time.Hour) }, "unknown", "tallies go back 3h, 24h was asked for"},
		{"finish, tallies much too short", Finish, func(f *Facts) {
			f.Answer.Evidence.From, f.Answer.Evidence.Since = f.Answer.Evidence.At.Add(-time.Minute), f.Answer.Evidence.At.Add(-12345*time.Millisecond)
		}, "unknown", "tallies go back 12s, 1m was asked for"},
		{"finish, folded callers", Finish, func(f *Facts) {
			f.Answer.Lines = append(f.Answer.Lines, Line{Caller: Other, Class: "Cart", App: "shop", Version: "v42", Calls: 5})
		}, "unknown", "5 calls were folded"},
		{"finish, nameless callers", Finish, func(f *Facts) {
			f.Answer.Lines = append(f.Answer.Lines, Line{Caller: Unidentified, Class: "Cart", App: "shop", Version: "v42", Calls: 5})
		}, "unknown", "did not say who they are"},
		{"a no stands, whatever is unknown", Finish, func(f *Facts) { f.Objects["v41"], f.Answer.Evidence.Seen = 1, 2 }, "no", "1 objects still run on v41"},

		{"promote, under way", Promote, func(f *Facts) { f.RollingTo = "v42" }, "yes", ""},
		{"promote, nothing under way", Promote, func(*Facts) {}, "no", "no rollout of shop to v42 is under way"},
		{"promote, halted", Promote, func(f *Facts) { f.RollingTo, f.Halted = "v42", "bake failed: errors" }, "no", "the rollout stands: bake failed"},

		{"rollback, the old reads the new", Rollback, func(f *Facts) { f.Version, f.Hosts = "v41", map[string]int{"v41": 1} }, "yes", ""},
		{"rollback, it does not", Rollback, func(f *Facts) {
			f.Version, f.Hosts = "v41", map[string]int{"v41": 1}
			f.Matrices["Cart"].State[1] = StateCell{Writer: "v42", Reader: "v41", Verdict: Fail, Rule: "FIELD_INT_RANGE_CHANGED"}
		}, "no", "v41 cannot read the state of Cart objects that v42 stored: FIELD_INT_RANGE_CHANGED"},
		{"rollback, opaque state", Rollback, func(f *Facts) {
			f.Version, f.Hosts = "v41", map[string]int{"v41": 1}
			f.Matrices["Cart"].State[1] = StateCell{Writer: "v42", Reader: "v41", Verdict: Opaque}
		}, "unknown", "opaque"},
		{"rollback, state not registered", Rollback, func(f *Facts) {
			f.Version, f.Hosts = "v41", map[string]int{"v41": 1}
			f.Matrices["Cart"].State = nil
		}, "unknown", "the registry cannot say whether v41 reads"},
		{"rollback, no host any more", Rollback, func(f *Facts) { f.Version = "v41" }, "no", "v41 has no ready host"},

		{"remove, nothing uses it", Remove, func(f *Facts) { f.Version = "v41" }, "yes", ""},
		{"remove, objects run on it", Remove, func(*Facts) {}, "no", "100 objects run on it"},
		{"remove, it is assigned", Remove, func(f *Facts) { f.Objects = nil }, "no", "100 % of the objects are assigned to it"},
		{"remove, a rollout would go back to it", Remove, func(f *Facts) { f.Version, f.RollingTo, f.RollingFrom = "v41", "v42", []string{"v41"} }, "no", "the rollout to v42 would go back to it"},
		{"remove, its workers call", Remove, func(f *Facts) {
			f.App, f.Version, f.Weights, f.Objects = "web", "v7", nil, nil
			f.Calling = &Answer{Lines: []Line{{Caller: "web@v7", Class: "Cart", Version: "v42", Calls: 9, Last: f.Answer.Evidence.At}}}
		}, "no", "it called Cart@v42 0s ago (9 calls)"},
	} {
		f := known()
		c.edit(&f)
		d := CanI(c.q, f)
		all := ""
		for _, r := range d.Reasons {
			all += r.Message + "\n"
			if r.Next == "" {
				t.Errorf("%s: %q does not say what to type next", c.name, r.Message)
			}
		}
		if d.Answer != c.want || !strings.Contains(all, c.says) {
			t.Errorf("%s: %s, want %s with %q\n%s", c.name, d.Answer, c.want, c.says, all)
		}
	}
}

// A hint that names a time must not name more than there is: it would not help.
func TestInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 12999 * time.Millisecond: "12s", time.Minute: "1m", 90 * time.Second: "1m30s", 10 * time.Minute: "10m",
		10*time.Minute + 59*time.Second: "10m", time.Hour: "1h", 24 * time.Hour: "24h", 24*time.Hour + 5*time.Minute: "24h5m", 100 * time.Hour: "100h",
	} {
		got := inWords(d)
		if back, err := time.ParseDuration(got); got != want || err != nil || back > d {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
