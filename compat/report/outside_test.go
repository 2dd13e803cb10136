package report_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/skewgate/skewgate/compat/report"
)

// TestWhyOutside: what is outside of the window explains the order, or what
// going back would meet, or both; state never explains an order.
func TestWhyOutside(t *testing.T) {
	call := report.Finding{Rule: "METHOD_ADDED", Path: "a.S.Y", Severity: "error", Effect: "unimplemented", Leg: "request", Writer: "new", Reader: "old", Encoding: "binary"}
	stored := report.Finding{Rule: "FIELD_INT_RANGE_CHANGED", Path: "a.St.x", Severity: "error", Effect: "value", Leg: "state", Writer: "new", Reader: "old", Encoding: "binary"}
	harmless := stored
	harmless.Severity, harmless.Path = "info", "a.St.y"
	for _, x := range []struct {
		order, window string
		findings      []report.Finding
		want          string
	}{
		{report.ObjectsFirst, "auto", []report.Finding{call}, "(why objects go first)"},
		{report.WorkersFirst, "auto", []report.Finding{call}, "(why workers go first)"},
		{report.ObjectsFirst, "auto", []report.Finding{call, stored}, "(why objects go first; going back)"},
		{report.ObjectsFirst, "auto", []report.Finding{call, harmless}, "(why objects go first)"},
		{report.AnyOrder, "auto", []report.Finding{stored}, "(going back)"},
		{report.ObjectsFirst, "workers-first", []report.Finding{call, stored}, "(not a part of workers-first)"},
	} {
		r := &report.Report{Old: "old", New: "new", Window: x.window, Verdict: report.Compatible, Order: x.order, Findings: x.findings}
		var out bytes.Buffer
		if err := report.Text(&out, r, report.Options{}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "Outside of this window "+x.want+"\n") {
			t.Errorf("%s, %s, %d findings: want %s in\n%s", x.order, x.window, len(x.findings), x.want, out.String())
		}
	}
}
