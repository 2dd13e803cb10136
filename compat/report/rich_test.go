package report_test

import (
	"encoding/json"

	"github.com/skewgate/skewgate/compat/report"
)

// rich is a report that has one of everything: each severity and kind of
// witness, findings that are waived and outside of the window, places that are
// whole, without a line and absent, and text that each format has to escape.
func rich() *report.Report {
	return &report.Report{
		APIVersion: report.APIVersion, Kind: report.KindReport,
		Old: "v41", New: "v42", Window: "auto", Verdict: report.Incompatible,
		Order: report.ExpandContract, Rollback: report.RollbackUnsafe,
		Pairs: []report.Pair{
			{Worker: "old", Object: "old", OK: true}, {Worker: "old", Object: "new"},
			{Worker: "new", Object: "old"}, {Worker: "new", Object: "new", OK: true},
		},
		State:    []report.State{{Writer: "old", Reader: "new", OK: true}, {Writer: "new", Reader: "old"}},
		Findings: richFindings(),
		Classes: []report.Class{
			{Class: "Cart", Order: report.ExpandContract, Rollback: report.RollbackUnsafe, Services: []string{"shop.v1.CartService"}, State: []string{"shop.v1.CartState"}},
			{Class: "Room", Order: report.AnyOrder, Rollback: report.RollbackNotChecked, Opaque: true},
		},
		Notices: []report.Notice{
			{Kind: report.NotChecked, Class: "Room", Message: "the state of Room is opaque: not checked"},
			{Kind: report.WaiverExpired, Message: "the waiver of FIELD_REMOVED | shop.v1.Cart.note expired on 2026-01-02", File: "skewgate.yaml", Line: 12},
		},
		Summary: report.Summary{Errors: 3, Warnings: 1, Infos: 2, Waived: 1, Checks: 143},
	}
}

func richFindings() []report.Finding {
	in := func(rule, severity, effect, leg, writer, reader string) report.Finding {
		return report.Finding{
			Rule: rule, Severity: severity, Effect: effect, Leg: leg, InWindow: true, Writer: writer, Reader: reader,
			Encoding: "binary", Profile: "spec", Class: "Cart", Methods: []string{}, Reached: 1,
			When: "while a v42 worker can reach a v41 object", Fix: "roll out objects first",
		}
	}
	widened := in("FIELD_INT_RANGE_CHANGED", "error", "value", "request", "new", "old")
	widened.Path, widened.Message = "shop.v1.Item.quantity", "100% of what is above 2^31: the v41 object\nreads another number, <silently>"
	widened.Old, widened.New = &report.Place{File: "shop/v1/cart.proto", Line: 31, Column: 3}, &report.Place{File: "shop/v1/a:b,c 100%.proto", Line: 33, Column: 3}
	widened.Methods, widened.Reached = []string{"/shop.v1.CartService/Add", "/shop.v1.CartService/Get", "/shop.v1.CartService/Set"}, 7
	widened.Witness = &report.Witness{Kind: report.Decode, Executed: true, Type: "shop.v1.Item", Value: json.RawMessage(`{"quantity":"4294967297"}`), Bytes: []byte{8, 0x81, 0x80, 0x80, 0x80, 0x10}, Outcome: "wrote 4294967297, reads 1"}
	inJSON := widened
	inJSON.Encoding, inJSON.Effect = "json", "error"
	state := widened
	state.Leg, state.Effect, state.Methods = "state", "value", []string{}

	gone := in("METHOD_REMOVED", "error", "unimplemented", "request", "old", "new")
	gone.Path, gone.Message = "shop.v1.CartService.Drop", "a v41 worker calls Drop; a v42 object does not have it"
	gone.Old, gone.Methods = &report.Place{File: "shop/v1/cart.proto", Line: 12, Column: 3}, []string{"/shop.v1.CartService/Drop"}
	gone.When, gone.Fix = "while a v41 worker can reach a v42 object", "keep Drop until no v41 worker is left"
	gone.Witness = &report.Witness{Kind: report.Dispatch, Executed: true, Bytes: []byte{}, Outcome: "UNIMPLEMENTED: unknown method Drop"}

	dropped := in("FIELD_ADDED", "warning", "drop", "request", "new", "old")
	dropped.Path, dropped.Message = "shop.v1.AddRequest.coupon", "`coupon` | @all #1 [x](https://example.com) *not* read"
	dropped.New = &report.Place{File: "shop/v1/cart.proto"}
	dropped.Witness = &report.Witness{Kind: report.Decode, Executed: true, Value: json.RawMessage(`{"coupon":"x"}`), Bytes: []byte{10, 1, 'x'}, Outcome: `"x" → kept as an unknown field`}

	harmless := in("FIELD_ADDED", "info", "drop", "response", "new", "old")
	harmless.Path, harmless.Message, harmless.Fix = "shop.v1.Cart.total", "an old worker ignores total", "nothing, if it need not arrive"
	harmless.New = &report.Place{File: "shop/v1/cart.proto", Line: 20, Column: 3}
	harmless.Witness = &report.Witness{Kind: report.Decode, Executed: true, Value: json.RawMessage(`{"total":"1"}`), Bytes: []byte{16, 1}, Outcome: "1 → kept as an unknown field"}
	another := harmless
	another.New = nil // compiled without places
	another.Path, another.Rule = "shop.v1.Color.\x1b[31mRED", "ENUM_VALUE_ADDED"

	waived := in("FIELD_REMOVED", "error", "loss", "state", "old", "new")
	waived.Path, waived.Message, waived.Waived, waived.Reason = "shop.v1.CartState.legacy", "what v41 stored in legacy is gone", true, "unused since v31, <see> CHANGELOG"
	waived.Old = &report.Place{File: "shop/v1/state.proto", Line: 9, Column: 5}

	outside := in("METHOD_ADDED", "error", "unimplemented", "request", "new", "old")
	outside.Path, outside.Message, outside.InWindow = "shop.v1.CartService.Apply", "a v42 worker calls Apply; a v41 object does not have it", false
	outside.New = &report.Place{File: "shop/v1/cart.proto", Line: 14, Column: 3}
	return []report.Finding{widened, inJSON, state, gone, dropped, harmless, another, waived, outside}
}

// many is a report of a change with a great many findings of one severity.
func many(n int, severity string) *report.Report {
	r := rich()
	one := r.Findings[5]
	one.Severity = severity
	r.Findings = nil
	for range n {
		one.Path += "x"
		if len(one.Path) > 40 {
			one.Path = "shop.v1.M" + string(rune('a'+len(r.Findings)/26%26)) + string(rune('a'+len(r.Findings)%26)) + string(rune('a'+len(r.Findings)/676%26))
		}
		r.Findings = append(r.Findings, one)
	}
	return r
}
