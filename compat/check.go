package compat

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

// Request is a question about two versions: a Pair, or two Sets that were
// loaded each for itself.
type Request struct {
	Old, New *schema.Set
	Pair     *schema.Pair // instead of Old and New; may know what is unchanged
	Options
}

// Check says whether two versions may meet.
func Check(ctx context.Context, req Request) (*report.Report, error) {
	if req.Pair != nil {
		req.Old, req.New = req.Pair.Old, req.Pair.New
	}
	if req.Old == nil || req.New == nil {
		return nil, errors.New("compat: a check needs two schemas")
	}
	req.Options.ahead = true
	k, err := run(ctx, []Version{
		{Name: req.Old.Name, Set: req.Old, Worker: true, Object: true},
		{Name: req.New.Name, Set: req.New, Worker: true, Object: true},
	}, req.Pair, req.Options)
	if err != nil {
		return nil, err
	}
	return k.report(), nil
}

// check is one run: what was asked, what was found.
type check struct {
	opts     Options
	window   Window
	versions []*version
	pair     *schema.Pair
	classes  []*class
	notices  []report.Notice
	judge    *judge
	hits     []*hit
	grids    map[*class]*grid
	total    *grid  // who meets whom, over all classes
	order    string // safe for all classes
	labels   []string
}

// run is the whole path: classes → facts → judged and proven → which versions
// may meet. What a person reads is made of it in report.
func run(ctx context.Context, versions []Version, pair *schema.Pair, opts Options) (*check, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	k := &check{opts: opts, pair: pair, grids: make(map[*class]*grid)}
	k.prepare(versions)
	if err := declarePayloads(k.versions); err != nil {
		return nil, err
	}
	if err := k.choose(); err != nil {
		return nil, err
	}
	journeys, err := k.compare(ctx)
	if err != nil {
		return nil, err
	}
	if err := k.prove(ctx, journeys); err != nil {
		return nil, err
	}
	k.meet()
	return k, nil
}

// prepare makes resolvers of extensions and payloads, and names that tell
// versions apart.
func (k *check) prepare(versions []Version) {
	for _, v := range versions {
		if v.App == "" && v.Set.Manifest != nil {
			v.App = v.Set.Manifest.App
		}
		x := &version{Version: v, universe: universeOf(v.Set)}
		if k.opts.matrix { // two inputs are an old and a new version, whatever they call themselves
			x.rolledOutAs = v.App
		}
		k.versions = append(k.versions, x)
		k.labels = append(k.labels, v.Name)
	}
	if !k.opts.matrix {
		k.labels = []string{oldSide, newSide}
		if k.versions[0].Name == k.versions[1].Name {
			k.versions[0].Name, k.versions[1].Name = oldSide, newSide
		}
	}
	k.window = k.opts.window(versions[len(versions)-1].Set.Manifest)
	if k.opts.Now.IsZero() {
		k.opts.Now = time.Now()
	}
}

func (k *check) label(i int) string { return k.labels[i] }

func universeOf(set *schema.Set) *universe {
	var exts []protoreflect.ExtensionDescriptor
	if files := set.Files(); files != nil {
		files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
			exts = appendExtensions(exts, file)
			return true
		})
	}
	u := newUniverse(set.Message, exts)
	if files := set.Files(); files != nil {
		_, err := files.FindFileByPath(constraintsFile)
		u.constrained = err == nil
	}
	return u
}

// appendExtensions collects the extensions of a file or message, nested ones
// included.
func appendExtensions(to []protoreflect.ExtensionDescriptor, in interface {
	Extensions() protoreflect.ExtensionDescriptors
	Messages() protoreflect.MessageDescriptors
}) []protoreflect.ExtensionDescriptor {
	for i := range in.Extensions().Len() {
		to = append(to, in.Extensions().Get(i))
	}
	for i := range in.Messages().Len() {
		to = appendExtensions(to, in.Messages().Get(i))
	}
	return to
}

// choose says which classes are checked.
func (k *check) choose() error {
	var err error
	k.classes, k.notices, err = classesOf(k.versions, k.opts, func() []schema.Unchanged {
		if k.pair == nil {
			return nil
		}
		return k.pair.Unchanged()
	})
	if err != nil {
		return fmt.Errorf("choose classes: %w", err)
	}
	return nil
}

// compare finds what differs, on every leg of every class.
func (k *check) compare(ctx context.Context) ([]journey, error) {
	k.judge = newJudge(k.versions, k.pair)
	var journeys []journey
	for _, c := range k.classes {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("compare %s: %w", c.name, err)
		}
		journeys = append(journeys, k.judge.journeys(c, k.opts.encodings(c))...)
	}
	if err := k.judge.budget.err(); err != nil {
		return nil, err
	}
	k.judge.markDirty()
	k.notices = append(k.notices, k.judge.renameNotices()...)
	k.notices = append(k.notices, k.expressionNotices()...)
	return journeys, nil
}

// expressionNotices tells of CEL rules that changed.
func (k *check) expressionNotices() []report.Notice {
	seen := make(map[string]bool)
	var out []report.Notice
	for w := range k.versions {
		for r := range k.versions {
			c := k.judge.comparers[[2]int{w, r}]
			if c == nil {
				continue
			}
			for _, d := range c.expressions {
				name := string(d.FullName())
				if seen[name] {
					continue
				}
				seen[name] = true
				at := k.versions[r].Set.Place(d)
				out = append(out, report.Notice{Kind: report.NotChecked, File: at.File, Line: at.Line,
					Message: "a CEL rule of " + name + " is not the same on both sides: changed, not judged"})
			}
		}
	}
	slices.SortFunc(out, func(a, b report.Notice) int { return strings.Compare(a.Message, b.Message) })
	return out
}

// prove turns differences into hits: facts whose effect a witness shows.
func (k *check) prove(ctx context.Context, journeys []journey) error {
	for _, way := range journeys {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("judge %s: %w", way.class.name, err)
		}
		k.hits = append(k.hits, k.judge.hits(way)...)
		if err := k.judge.budget.err(); err != nil {
			return err
		}
	}
	k.notices = append(k.notices, k.brokenRules()...)
	return nil
}

// meet says which versions may meet, for each class and for all.
func (k *check) meet() {
	k.total = newGrid(k.versions, k.classes...)
	for _, c := range k.classes {
		k.grids[c] = newGrid(k.versions, c)
	}
	for _, h := range k.hits {
		k.total.note(h)
		k.grids[h.class].note(h)
	}
	k.order = orderOf(slices.Collect(maps.Values(k.grids))...)
}

// report says what was found.
func (k *check) report() *report.Report {
	r := &report.Report{
		APIVersion: report.APIVersion, Kind: report.KindReport,
		Old: k.versions[0].Name, New: k.versions[len(k.versions)-1].Name,
		Window: string(k.window), Strict: k.opts.Strict,
		Order: k.order, Rollback: k.total.rollback(),
		Pairs: k.pairs(k.total), State: k.states(k.total),
		Findings: []report.Finding{}, Notices: k.notices,
	}
	if k.opts.matrix {
		r.Versions = k.labels
	}
	r.Findings = append(r.Findings, k.findings(mergeClasses(k.hits))...)
	manifest := k.versions[len(k.versions)-1].Set.Manifest
	r.Notices = append(r.Notices, waive(r.Findings, manifest, k.opts.Now)...)
	sortFindings(r.Findings)
	r.Classes = k.classReports()
	summarize(r, k.judge.checks)
	return r
}

// findings words every hit; each for itself, so that all processors help.
func (k *check) findings(hits []*merged) []report.Finding {
	out := make([]report.Finding, len(hits))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	const chunk = 256
	for from := 0; from < len(hits); from += chunk {
		group.Go(func() error {
			for i := from; i < min(from+chunk, len(hits)); i++ {
				out[i] = k.finding(hits[i])
			}
			return nil
		})
	}
	group.Wait() //nolint:errcheck // none of them fails
	return out
}

func (k *check) pairs(g *grid) []report.Pair {
	pairs := []report.Pair{}
	for _, w := range g.workers {
		for _, o := range g.objects {
			pairs = append(pairs, report.Pair{Worker: k.label(w), Object: k.label(o), OK: !g.bad[[2]int{w, o}]})
		}
	}
	return pairs
}

func (k *check) states(g *grid) []report.State {
	states := []report.State{}
	if !g.hasState {
		return states
	}
	for _, a := range g.objects {
		for _, b := range g.objects {
			if a != b {
				states = append(states, report.State{Writer: k.label(a), Reader: k.label(b), OK: !g.badState[[2]int{a, b}]})
			}
		}
	}
	return states
}

func (k *check) classReports() []report.Class {
	var out []report.Class
	for _, c := range k.classes {
		g := k.grids[c]
		x := report.Class{Class: c.name, Order: g.order(), Rollback: g.rollback(), Opaque: c.opaque, Pairs: k.pairs(g), States: k.states(g)}
		if !c.messages {
			for _, s := range c.services {
				x.Services = append(x.Services, string(s))
			}
			for _, s := range c.state {
				x.State = append(x.State, string(s))
			}
		}
		out = append(out, x)
	}
	return out
}

// summarize counts what is in the window, and gives the verdict: errors there
// make it incompatible, waived or not.
func summarize(r *report.Report, checks int) {
	r.Verdict = report.Compatible
	r.Summary.Checks = checks
	for _, f := range r.Findings {
		if !f.InWindow {
			continue
		}
		if f.Severity == string(Error) {
			r.Verdict = report.Incompatible
		}
		switch {
		case f.Waived:
			r.Summary.Waived++
		case f.Severity == string(Error):
			r.Summary.Errors++
		case f.Severity == string(Warning):
			r.Summary.Warnings++
		default:
			r.Summary.Infos++
		}
	}
}
