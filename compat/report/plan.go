package report

import (
	"fmt"
	"io"
	"strings"
)

// PlanText writes a plan for people.
func PlanText(w io.Writer, p *Plan, opts Options) error {
	t := &textWriter{color: opts.Colour}
	p = p.printable()
	apart := orderedApart(p.Classes)
	order := orderText(p.Order)
	if apart {
		order = "EACH CLASS IN ITS OWN"
	}
	t.printf("%s  order: %s\n", t.paint(bold, p.Old+" → "+p.New), t.paint(bold, order))
	t.ownOrders(p.Classes)
	switch p.Rollback {
	case RollbackSafe:
		t.printf("going back: safe at every step\n")
	case RollbackUnsafe:
		t.printf("going back: unsafe from the marked step on, as soon as new code has written\n")
	default:
		t.printf("going back: state was not checked\n")
	}
	t.printf("\n")
	for i, s := range p.Steps {
		t.printf("%3d  %s\n", i+1, s.Do)
		t.printf("     %s\n", t.paint(dim, "workers "+strings.Join(s.Workers, ", ")+"   objects "+strings.Join(s.Objects, ", ")))
		if s.NoReturn {
			t.noReturn(p)
		}
	}
	if apart && len(p.Releases) > 0 {
		t.printf("\nIf objects of all classes can only be rolled out together, it takes two releases instead.\n")
	}
	for _, release := range p.Releases {
		t.printf("\nrelease: %s\n", t.paint(bold, release.Name))
		for _, c := range release.Changes {
			t.printf("  - %s\n    %s %s%s\n", c.Do, t.paint(dim, c.Rule), c.Path, at(c))
			if c.Why != "" {
				t.printf("    %s\n", c.Why)
			}
		}
	}
	t.notices(p.Notices)
	if _, err := w.Write(t.Bytes()); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}

// noReturn says why there is no way back from here, and what would keep one.
func (t *textWriter) noReturn(p *Plan) {
	t.printf("     %s from the first write by %s on, %s cannot load what is stored:\n", t.paint(red, "point of no return:"), p.New, p.Old)
	if p.NoReturn == nil {
		return
	}
	shown := p.NoReturn.Changes[:min(len(p.NoReturn.Changes), showErrors)]
	for _, c := range shown {
		t.printf("       - %s %s%s\n         %s\n         %s\n", t.paint(dim, c.Rule), c.Path, at(c), c.Why, c.Do)
	}
	if more := len(p.NoReturn.Changes) - len(shown); more > 0 {
		t.printf("       … and %d more (--format json lists them)\n", more)
	}
}

func at(c Change) string {
	if c.File == "" {
		return ""
	}
	return fmt.Sprintf("  %s:%d", c.File, c.Line)
}

func orderText(order string) string {
	return map[string]string{
		AnyOrder: "ANY", ObjectsFirst: "OBJECTS FIRST", WorkersFirst: "WORKERS FIRST", ExpandContract: "EXPAND, THEN CONTRACT (two releases)",
	}[order]
}
