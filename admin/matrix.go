package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/rollout/skew"
	"github.com/skewgate/skewgate/schema"
)

// maxMatrix is how many versions a matrix holds; the oldest beyond it must be retired.
const maxMatrix = 64

// load makes a version of a registered schema. Without a manifest an app
// exports its classes of the mesh, and binds the others whose services it has.
func load(s Schema, classes []routing.Class) (compat.Version, error) {
	name := s.App + "@" + s.Version
	set, err := schema.FromImage(name, s.DescriptorSet)
	if err != nil {
		return compat.Version{}, badRequest("%v", err)
	}
	if s.Manifest != "" {
		set.Manifest, err = schema.ParseManifest(schema.ManifestName, []byte(s.Manifest))
		if err != nil {
			return compat.Version{}, badRequest("%v", err)
		}
		if app := set.Manifest.App; app != s.App {
			return compat.Version{}, badRequest("the manifest is of app %q, not %q", app, s.App)
		}
	} else {
		set.Manifest = manifestOf(s.App, set, classes)
	}
	return compat.Version{Name: name, App: s.App, Set: set, Worker: true, Object: true}, nil
}

func manifestOf(app string, set *schema.Set, classes []routing.Class) *schema.Manifest {
	m := &schema.Manifest{App: app, Profile: schema.Profiles[0], Exports: map[string]schema.Class{}, Binds: map[string]schema.Class{}}
	for _, c := range classes {
		var services []string
		for _, s := range c.Services {
			if set.Service(protoreflect.FullName(s)) != nil {
				services = append(services, s)
			}
		}
		if len(services) == 0 {
			continue
		}
		side := m.Binds
		if c.App == app {
			side = m.Exports
		}
		side[c.Name] = schema.Class{Services: services}
	}
	return m
}

// matricesOf compares every version with every other, and gives a matrix for
// each class that any of them exports or binds.
func matricesOf(ctx context.Context, schemas []Schema, classes []routing.Class) (skew.Matrices, error) {
	if len(schemas) > maxMatrix {
		return nil, badRequest("%d versions are registered, a matrix holds %d\n    → skewgate schema retire APP VERSION", len(schemas), maxMatrix)
	}
	slices.SortStableFunc(schemas, func(x, y Schema) int { return x.PushedAt.Compare(y.PushedAt) })
	var versions []compat.Version
	for _, s := range schemas {
		v, err := load(s, classes)
		if err != nil {
			return nil, err
		}
		versions = append(versions, v)
	}
	out := newMatrices(versions, classes)
	if len(versions) < 2 || len(out) == 0 {
		return out, nil
	}
	result, err := compat.Matrix(ctx, compat.MatrixRequest{Versions: versions})
	if err != nil {
		return nil, fmt.Errorf("compare versions: %w", err)
	}
	for _, c := range result.Cells {
		m := out[c.Class]
		if m == nil {
			continue
		}
		m.Incompatible = append(m.Incompatible, skew.Incompatible{
			Class: c.Class, Caller: c.Version, Object: bare(c.Object), Method: c.Method, Rule: c.Rule, Message: c.Message,
		})
	}
	for _, c := range result.Report.Classes {
		if m := out[c.Class]; m != nil {
			m.State = stateCells(c, result.Report.Findings)
		}
	}
	return out, nil
}

// newMatrices says, for each class, which versions play a part in it.
func newMatrices(versions []compat.Version, classes []routing.Class) skew.Matrices {
	owner := map[string]string{}
	for _, c := range classes {
		owner[c.Name] = c.App
	}
	out := skew.Matrices{}
	for _, v := range versions {
		for name := range v.Set.Manifest.Exports {
			m := matrixOf(out, name, cmp.Or(owner[name], v.App))
			if m.App == v.App {
				m.Objects = append(m.Objects, bare(v.Name))
			}
			if _, also := v.Set.Manifest.Binds[name]; !also {
				m.Callers = append(m.Callers, v.Name) // its own copy is what its workers would use
			}
		}
		for name := range v.Set.Manifest.Binds {
			m := matrixOf(out, name, owner[name])
			m.Callers = append(m.Callers, v.Name)
		}
	}
	return out
}

func matrixOf(all skew.Matrices, class, app string) *skew.Matrix {
	if all[class] == nil {
		all[class] = &skew.Matrix{Class: class, App: app, Objects: []string{}, Callers: []string{}}
	}
	if all[class].App == "" {
		all[class].App = app
	}
	return all[class]
}

// bare takes the app off app@version.
func bare(name string) string {
	_, version, _ := strings.Cut(name, "@")
	return version
}

// stateCells says which version reads what the others stored, with the first rule that forbids it.
func stateCells(c report.Class, findings []report.Finding) []skew.StateCell {
	cells := make([]skew.StateCell, 0, len(c.States))
	for _, s := range c.States {
		cell := skew.StateCell{Writer: bare(s.Writer), Reader: bare(s.Reader), Verdict: skew.OK}
		switch {
		case c.Opaque:
			cell.Verdict = skew.Opaque
		case !s.OK:
			cell.Verdict = skew.Fail
			for _, f := range findings {
				if f.Leg == string(compat.LegState) && f.Writer == s.Writer && f.Reader == s.Reader && f.Class == c.Class && f.Severity == string(compat.Error) {
					cell.Rule, cell.Message = f.Rule, f.Path+": "+f.Message
					break
				}
			}
		}
		cells = append(cells, cell)
	}
	return cells
}
