package report

import (
	"slices"
	"strings"
	"unicode"
)

// printable gives a copy for a terminal: file names, reasons and values come
// from the schema's author, who must not be able to paint, to move the cursor
// or to add lines.
func (r *Report) printable() *Report {
	out := *r
	out.Old, out.New = clean(r.Old), clean(r.New)
	out.Versions = cleanAll(r.Versions)
	out.Findings = slices.Clone(r.Findings)
	for i := range out.Findings {
		out.Findings[i].clean()
	}
	out.Notices = cleanNotices(r.Notices)
	out.Classes = slices.Clone(r.Classes)
	for i := range out.Classes {
		out.Classes[i].Class = clean(out.Classes[i].Class)
	}
	return &out
}

func (f *Finding) clean() {
	for _, s := range []*string{&f.Class, &f.Path, &f.Message, &f.Fix, &f.When, &f.Reason} {
		*s = clean(*s)
	}
	f.Methods = cleanAll(f.Methods)
	f.Old, f.New = f.Old.clean(), f.New.clean()
	if f.Witness != nil {
		w := *f.Witness
		w.Outcome = clean(w.Outcome)
		if w.Value != nil {
			w.Value = []byte(clean(string(w.Value)))
		}
		f.Witness = &w
	}
}

func (p *Place) clean() *Place {
	if p == nil {
		return nil
	}
	return &Place{File: clean(p.File), Line: p.Line, Column: p.Column}
}

func (p *Plan) printable() *Plan {
	out := *p
	out.Old, out.New = clean(p.Old), clean(p.New)
	out.Notices = cleanNotices(p.Notices)
	out.Releases = slices.Clone(p.Releases)
	for i, r := range out.Releases {
		out.Releases[i].Changes = cleanChanges(r.Changes)
	}
	out.Steps = slices.Clone(p.Steps)
	for i := range out.Steps {
		s := &out.Steps[i]
		s.Do, s.Workers, s.Objects = clean(s.Do), cleanAll(s.Workers), cleanAll(s.Objects)
	}
	if p.NoReturn != nil {
		out.NoReturn = &NoReturn{Step: p.NoReturn.Step, To: clean(p.NoReturn.To), Changes: cleanChanges(p.NoReturn.Changes)}
	}
	return &out
}

func cleanChanges(in []Change) []Change {
	out := slices.Clone(in)
	for i := range out {
		c := &out[i]
		c.Path, c.Do, c.Why, c.File = clean(c.Path), clean(c.Do), clean(c.Why), clean(c.File)
	}
	return out
}

func cleanNotices(in []Notice) []Notice {
	out := slices.Clone(in)
	for i := range out {
		out[i].Message, out[i].File = clean(out[i].Message), clean(out[i].File)
	}
	return out
}

func cleanAll(in []string) []string {
	out := slices.Clone(in)
	for i := range out {
		out[i] = clean(out[i])
	}
	return out
}

// clean replaces what moves a terminal: control and format characters (those
// that turn the direction of writing, too), and what is not UTF-8. White space
// becomes a space.
func clean(s string) string {
	plain := func(r rune) bool { return r >= ' ' && r < 0x7f }
	if !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\t' {
			return ' '
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
