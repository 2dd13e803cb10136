package compat_test

import (
	"strings"
	"testing"

	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/schema"
)

// A name that is nowhere is answered with the names that are there: what comes
// close first, never more than three, with and without the shortcuts of loading.
func TestInstead(t *testing.T) {
	var text strings.Builder
	text.WriteString("syntax = \"proto3\"; package shop.v1; message CartItem { int32 n = 1; }\n")
	for _, s := range []string{"Cart", "CartAdmin", "CartAudit", "CartExport", "Orders"} {
		text.WriteString("service " + s + "Service { rpc A(CartItem) returns (CartItem); }\n")
	}
	for _, x := range []struct {
		opts compat.Options
		hint string
	}{
		{compat.Options{Services: []string{"shop.v1.OrderService"}}, "did you mean shop.v1.OrdersService?"},
		{compat.Options{Services: []string{"OrdersService"}}, "did you mean shop.v1.OrdersService?"},
		{compat.Options{Services: []string{"shop.v2.ordersservice"}}, "did you mean shop.v1.OrdersService?"},
		{compat.Options{Services: []string{"Cart"}}, "did you mean shop.v1.CartService or shop.v1.CartAdminService or shop.v1.CartAuditService?"},
		{compat.Options{Services: []string{"Payments"}}, "services there are: shop.v1.CartAdminService, shop.v1.CartAuditService, shop.v1.CartExportService and 2 more"},
		{compat.Options{State: []string{"shop.v1.Item"}}, "did you mean shop.v1.CartItem?"},
		{compat.Options{State: []string{"shop.v1.Zonk"}}, "messages there are: shop.v1.CartItem"},
	} {
		for _, full := range []bool{false, true} {
			in := schema.Sources(map[string]string{"a.proto": text.String()})
			pair, err := schema.LoadPair(t.Context(), in, in, schema.Options{Want: x.opts.Want, Full: full})
			if err != nil {
				t.Fatal(err)
			}
			_, err = compat.Check(t.Context(), compat.Request{Pair: pair, Options: x.opts})
			if err == nil || !strings.HasSuffix(err.Error(), x.hint) {
				t.Errorf("full %v, %+v: want %q, is %v", full, x.opts, x.hint, err)
			}
		}
	}
}
