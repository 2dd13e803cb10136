package control

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/skewgate/skewgate/gateway/routing"
)

// validate holds that clients will accept a state: gateways can build a table
// from it, and each message satisfies its own constraints and can be sent.
// Every reason is given.
func validate(b built) error {
	var errs []error
	if _, err := routing.NewTable(b.spec); err != nil {
		errs = append(errs, err)
	}
	for _, set := range []resources{b.endpoints, b.standard.clusters, b.standard.routes, b.standard.listeners,
		b.picker.clusters, b.picker.routes, b.picker.listeners} {
		for name, m := range set {
			if v, ok := m.(interface{ ValidateAll() error }); ok {
				if err := v.ValidateAll(); err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", name, err))
				}
			}
			if _, err := proto.Marshal(m); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
	}
	return errors.Join(errs...)
}
