package gateway

import (
	"errors"
	"fmt"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// objectKey says which object a request is for:
//
//	mode      id in the route  id header       answer
//	any       yes              any             the route's id
//	any       no               once            the header's id
//	any       no               more than once  object_key_invalid
//	observe   no               no              none, which is fine: nothing is pinned
//	others    no               no              object_key_missing
//
// An id that is not 1 to 512 bytes without control characters is
// object_key_invalid; an empty one is object_key_missing.
func objectKey(req Request) (owners.Key, error) {
	if req.HasID && req.IDTwice {
		return owners.Key{}, &wire.Problem{Code: wire.ObjectKeyInvalid, Detail: "header " + req.Class.IDHeader + " is there more than once"}
	}
	if !req.HasID || req.ID == "" {
		if req.Class.Mode == routing.ModeObserve {
			return owners.Key{Class: req.Class.Name}, nil
		}
		return owners.Key{}, &wire.Problem{Code: wire.ObjectKeyMissing, Detail: missingHint(req)}
	}
	key := owners.Key{Class: wire.PreviewClass(req.Class.Name, req.Preview), ID: req.ID}
	if err := key.Validate(); err != nil {
		if errors.Is(err, owners.ErrBadKey) && req.Class.Mode == routing.ModeObserve {
			return owners.Key{Class: req.Class.Name}, nil
		}
		return owners.Key{}, &wire.Problem{Code: wire.ObjectKeyInvalid, Detail: err.Error(), Err: err}
	}
	return key, nil
}

func missingHint(req Request) string {
	switch {
	case req.HasID:
		return fmt.Sprintf("the id of a %s must have 1 to %d bytes; this request's is empty", req.Class.Name, owners.MaxIDLen)
	case req.Class.IDHeader != "":
		return fmt.Sprintf("name the %s in the header %q (gRPC: metadata)", req.Class.Name, req.Class.IDHeader)
	}
	return fmt.Sprintf("%s does not name a %s, and the class has no id header", req.Route, req.Class.Name)
}
