package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/skewgate/skewgate/rollout"
	"github.com/skewgate/skewgate/rollout/skew"
	"github.com/skewgate/skewgate/wire"
)

//go:generate env SKEWGATE_UPDATE=1 go test . -run TestOpenAPIIsUpToDate -count=1

// operation describes a route to people: openapi.yaml is made of this, of the
// Go types of bodies and answers, and of the comments on their fields.
type operation struct {
	id, summary string
	query       []string // name: what it says
	body        any
	answer      any
}

var operations = map[string]operation{
	"GET /v1/skew": {"getSkew", "Who talks to whom, at which versions.", []string{"class: only this class", "caller: app@version, or an app", "app: only objects of this app", "since: how far back, a duration; 1h"}, nil, Skew{}},
	"GET /v1/can-i/{question}/{app}/{version}": {"canI", "May this be done? The question is promote, finish, rollback or remove.", []string{"since: what was seen in this time counts; 24h"}, nil, CanI{}},
	"GET /v1/rollouts":                         {"listRollouts", "The newest rollout of every app.", nil, nil, List[Rollout]{}},
	"GET /v1/rollouts/{app}":                   {"getRollout", "How an app's newest rollout stands.", nil, nil, Rollout{}},
	"POST /v1/rollouts/{app}":                  {"startRollout", "Start a rollout, after its preflight; 409 with reasons when it is refused.", nil, RolloutStart{}, Rollout{}},
	"POST /v1/rollouts/{app}/preview":          {"previewRollout", "What a start would do; nothing is touched.", nil, RolloutStart{}, RolloutPreview{}},
	"POST /v1/rollouts/{app}/{action}":         {"actOnRollout", "The action is pause, resume, promote, abort, undo or retry.", nil, rollout.Ask{}, Rollout{}},
	"GET /v1/rollouts/{app}/history":           {"getRolloutHistory", "Every change, newest first.", []string{"limit: at most so many; 50"}, nil, List[RolloutChange]{}},
	"GET /v1/objects":                          {"listObjects", "Objects that have a pin.", []string{"class: only this class", "version: only those that run, or ran last, this version", "host: only those of this host (name or session)", "state: owned, released or orphaned", "moving: true for those that do not run their assigned version", "limit: about so many; 100, at most 10000", "cursor: of an earlier answer, for what follows"}, nil, List[Object]{}},
	"GET /v1/objects/{class}/{id}":             {"getObject", "One object: its owner, its token, its version and why. The id is percent-encoded.", nil, nil, Object{}},
	"POST /v1/objects/{class}/{id}/move":       {"moveObject", "Move one object to another host now.", []string{"dryRun: true only says where it would go"}, ObjectMove{}, MovedObject{}},
	"GET /v1/objects/{class}/{id}/history":     {"getObjectHistory", "The last moves of one object, newest first.", []string{"limit: at most so many; 20"}, nil, List[ObjectMoved]{}},
	"GET /v1/hosts":                            {"listHosts", "Processes that run objects.", []string{"app: only this app", "version: only this version", "all: true for those that ended, too"}, nil, List[Host]{}},
	"GET /v1/hosts/{name}":                     {"getHost", "One host, by name or the start of its session, with what it says itself.", nil, nil, Host{}},
	"POST /v1/hosts/{name}/{action}":           {"actOnHost", "The action is cordon, uncordon or drain; the host hears it at its next renewal.", []string{"dryRun: true only says what would be"}, nil, Host{}},
	"GET /v1/versions":                         {"listVersions", "Versions that are live, deployed or registered.", []string{"app: only this app"}, nil, List[Version]{}},
	"GET /v1/versions/{app}/{version}":         {"getVersion", "One version.", nil, nil, Version{}},
	"GET /v1/proxies":                          {"listProxies", "xDS clients of the process that answers.", nil, nil, List[Proxy]{}},
	"GET /v1/schemas":                          {"listSchemas", "Registered versions.", []string{"app: only this app"}, nil, List[Schema]{}},
	"GET /v1/schemas/{app}/{version}":          {"getSchema", "One registered version with its descriptors.", nil, nil, Schema{}},
	"PUT /v1/schemas/{app}/{version}":          {"putSchema", "Register a version and compute the matrices anew. A version is immutable.", nil, SchemaPush{}, Schema{}},
	"POST /v1/schemas/{app}/{version}/retire":  {"retireSchema", "Take a version out of the matrices.", nil, nil, Schema{}},
	"GET /v1/matrix":                           {"listMatrices", "Who may meet whom, class by class.", []string{"class: only this class"}, nil, List[Matrix]{}},
	"GET /v1/doctor":                           {"getDoctor", "Whether the store and the mesh are safe and healthy.", nil, nil, Doctor{}},
	"GET /v1/audit":                            {"getAudit", "Changes that were asked for, newest first.", []string{"limit: at most so many; 100"}, nil, List[AuditEntry]{}},
}

func TestOpenAPIHasEveryRouteAndNoOther(t *testing.T) {
	have := map[string]bool{}
	for _, r := range routes() {
		have[r.method+" "+r.pattern] = true
		if _, ok := operations[r.method+" "+r.pattern]; !ok {
			t.Errorf("%s %s is not described", r.method, r.pattern)
		}
	}
	for name := range operations {
		if !have[name] {
			t.Errorf("%s is described, but no handler has it", name)
		}
	}
}

// openapi.yaml is what the types and comments say. SKEWGATE_UPDATE=1 writes it.
func TestOpenAPIIsUpToDate(t *testing.T) {
	doc, err := yaml.Marshal(document(t))
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("SKEWGATE_UPDATE") != "" {
		if err := os.WriteFile("openapi.yaml", doc, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(doc, openAPI) {
		t.Error("openapi.yaml is not what the handlers' types say: SKEWGATE_UPDATE=1 go test ./admin -run OpenAPI")
	}
}

// What handlers really answer is what openapi.yaml says: kind and fields, for every GET.
func TestAnswersAreAsDescribed(t *testing.T) {
	m := embedded(t)
	m.host("h-1", "v41")
	m.call("1", "h-1")
	m.tally(3, "web@v1", "v41", "/Get", "upstream_failed")
	if _, err := m.client.PushSchema(t.Context(), "shop", "v41", example(t, "v1")); err != nil {
		t.Fatal(err)
	}
	if _, err := m.client.StartRollout(t.Context(), RolloutStart{Spec: rollout.Spec{App: "shop", To: "v41"}}); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("{question}", "finish", "{app}", "shop", "{version}", "v41", "{class}", "Cart", "{id}", "1", "{name}", "h-1")
	s := &schemaBuilder{t: t, comments: map[string]map[string]string{}, defs: yaml.MapSlice{}}
	for _, r := range routes() {
		if r.method != http.MethodGet {
			continue
		}
		status, body := m.raw(t, r.method, fill.Replace(r.pattern), nil)
		if status != http.StatusOK {
			t.Errorf("%s: %d %s", r.pattern, status, body)
			continue
		}
		op := operations[r.method+" "+r.pattern]
		want, err := Encode(op.answer)
		if err != nil {
			t.Fatal(err)
		}
		var got, zero map[string]any
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(want, &zero); err != nil {
			t.Fatal(err)
		}
		if got["kind"] != zero["kind"] || got["apiVersion"] != APIVersion {
			t.Errorf("%s answers %v %v, described is %v", r.pattern, got["apiVersion"], got["kind"], zero["kind"])
		}
		s.holds(r.pattern, reflect.TypeOf(op.answer), got)
	}
}

// holds checks that v has no field that type does not describe, and all that it requires.
func (s *schemaBuilder) holds(at string, typ reflect.Type, v any) {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch x := v.(type) {
	case nil:
		s.t.Errorf("%s is null", at)
	case map[string]any:
		if typ.Kind() == reflect.Map {
			return
		}
		described := map[string]field{"apiVersion": {optional: true}, "kind": {optional: true}}
		for _, f := range s.fields(typ) {
			described[f.name] = f
		}
		for name, value := range x {
			f, ok := described[name]
			if !ok {
				s.t.Errorf("%s: %s is answered, not described", at, name)
			} else if f.typ != nil {
				s.holds(at+"."+name, f.typ, value)
			}
		}
		for name, f := range described {
			if _, ok := x[name]; !ok && !f.optional {
				s.t.Errorf("%s: %s is described as always there, and is not", at, name)
			}
		}
	case []any:
		for _, e := range x {
			s.holds(at+"[]", typ.Elem(), e)
		}
	}
}

// document makes the whole of openapi.yaml.
func document(t *testing.T) yaml.MapSlice {
	s := &schemaBuilder{t: t, comments: map[string]map[string]string{}, defs: yaml.MapSlice{}}
	paths := map[string]yaml.MapSlice{}
	for _, r := range routes() {
		op := operations[r.method+" "+r.pattern]
		paths[r.pattern] = append(paths[r.pattern], yaml.MapItem{Key: strings.ToLower(r.method), Value: s.operation(r, op)})
	}
	var all yaml.MapSlice
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		all = append(all, yaml.MapItem{Key: p, Value: paths[p]})
	}
	problem := s.ref(reflect.TypeFor[Error]())
	slices.SortFunc(s.defs, func(a, b yaml.MapItem) int { return strings.Compare(fmt.Sprint(a.Key), fmt.Sprint(b.Key)) })
	return yaml.MapSlice{
		{Key: "openapi", Value: "3.1.0"},
		{Key: "info", Value: yaml.MapSlice{
			{Key: "title", Value: "skewgate admin API"}, {Key: "version", Value: "v1"},
			{Key: "description", Value: "Everything that the command line and the console show. Every answer carries apiVersion and kind; errors are problem details (RFC 9457)."},
		}},
		{Key: "servers", Value: []yaml.MapSlice{{{Key: "url", Value: "http://127.0.0.1:8081"}}}},
		{Key: "security", Value: []yaml.MapSlice{{{Key: "token", Value: []string{}}}, {}}},
		{Key: "paths", Value: all},
		{Key: "components", Value: yaml.MapSlice{
			{Key: "securitySchemes", Value: yaml.MapSlice{{Key: "token", Value: yaml.MapSlice{{Key: "type", Value: "http"}, {Key: "scheme", Value: "bearer"}}}}},
			{Key: "responses", Value: yaml.MapSlice{{Key: "Problem", Value: yaml.MapSlice{
				{Key: "description", Value: "It was not done; code and detail say why, next what to type."},
				{Key: "content", Value: yaml.MapSlice{{Key: "application/problem+json", Value: yaml.MapSlice{{Key: "schema", Value: problem}}}}},
			}}}},
			{Key: "schemas", Value: s.defs},
		}},
	}
}

var inBraces = regexp.MustCompile(`\{(\w+)\}`)

func (s *schemaBuilder) operation(r route, op operation) yaml.MapSlice {
	out := yaml.MapSlice{{Key: "operationId", Value: op.id}, {Key: "summary", Value: op.summary}}
	var params []yaml.MapSlice
	param := func(name, in, description string, required bool) {
		p := yaml.MapSlice{{Key: "name", Value: name}, {Key: "in", Value: in}}
		if required {
			p = append(p, yaml.MapItem{Key: "required", Value: true})
		}
		if description != "" {
			p = append(p, yaml.MapItem{Key: "description", Value: description})
		}
		params = append(params, append(p, yaml.MapItem{Key: "schema", Value: yaml.MapSlice{{Key: "type", Value: "string"}}}))
	}
	for _, m := range inBraces.FindAllStringSubmatch(r.pattern, -1) {
		param(m[1], "path", "", true)
	}
	for _, q := range op.query {
		name, description, _ := strings.Cut(q, ": ")
		param(name, "query", description, false)
	}
	if r.change {
		param(byHeader, "header", "who asks, for histories and the audit list", false)
	}
	if len(params) > 0 {
		out = append(out, yaml.MapItem{Key: "parameters", Value: params})
	}
	content := func(typ reflect.Type) yaml.MapItem {
		return yaml.MapItem{Key: "content", Value: yaml.MapSlice{{Key: "application/json", Value: yaml.MapSlice{{Key: "schema", Value: s.ref(typ)}}}}}
	}
	if op.body != nil {
		out = append(out, yaml.MapItem{Key: "requestBody", Value: yaml.MapSlice{content(reflect.TypeOf(op.body))}})
	}
	return append(out, yaml.MapItem{Key: "responses", Value: yaml.MapSlice{
		{Key: "200", Value: yaml.MapSlice{{Key: "description", Value: "It was done."}, content(reflect.TypeOf(op.answer))}},
		{Key: "default", Value: yaml.MapSlice{{Key: "$ref", Value: "#/components/responses/Problem"}}},
	}})
}

// Types that JSON carries as strings.
var stringTypes = map[reflect.Type]yaml.MapSlice{
	reflect.TypeFor[time.Time]():    {{Key: "type", Value: "string"}, {Key: "format", Value: "date-time"}},
	reflect.TypeFor[wire.Seconds](): {{Key: "type", Value: "string"}, {Key: "description", Value: "a Go duration, such as 1m30s"}},
	reflect.TypeFor[[]byte]():       {{Key: "type", Value: "string"}, {Key: "contentEncoding", Value: "base64"}},
}

// Words that a string type may be.
var enums = map[reflect.Type][]string{
	reflect.TypeFor[skew.Verdict]():        {"ok", "FAIL", "partial", "unknown", "opaque", "-"},
	reflect.TypeFor[skew.Question]():       {"promote", "finish", "rollback", "remove"},
	reflect.TypeFor[rollout.Phase]():       {"progressing", "paused", "completed", "aborted", "frozen"},
	reflect.TypeFor[rollout.BakeVerdict](): {"passed", "failed", "no-data"},
}
