package storage

import (
	"context"
	"errors"
	"fmt"
)

// ErrPrecondition is what a Conditional store gives when another version stands.
var ErrPrecondition = errors.New("another version stands")

// Conditional is a store of one's own that can write only if a version still
// stands: an object store with ETags and If-Match, a table with a version
// column, a document database with revisions.
type Conditional interface {
	// Load gives the document, the fence that was kept with it, and the version
	// that Store asks for. Of a document that is not there all are zero.
	Load(ctx context.Context, object string) (data []byte, fence, version string, err error)
	// Store writes document and fence together if version still stands ("" means
	// that there is none) and gives the new version. It fails with
	// ErrPrecondition if another stands.
	Store(ctx context.Context, object string, data []byte, fence, version string) (newVersion string, err error)
}

// Document is one object's state in a Conditional store, fenced: it was
// claimed by writing the activation's fence, so that every write of an earlier
// activation, however late, meets another version.
//
// A Document is not safe for concurrent use. Data read once is not fenced any
// more; a Save is.
type Document struct {
	store   Conditional
	object  string
	fence   Fence
	data    []byte
	version string
	ended   error
}

// claimTries is how often Claim looks again when somebody else wrote in between.
const claimTries = 8

// Claim takes the document for the activation whose fence is f (Object.Fence)
// and loads it: read, compare the fences, write back the same data with the new
// fence under the version that was read. It fails with ErrStale when a newer
// activation has claimed, and when others write again and again.
func Claim(ctx context.Context, c Conditional, object string, f Fence) (*Document, error) {
	for range claimTries {
		data, stood, version, err := c.Load(ctx, object)
		if err != nil {
			return nil, fmt.Errorf("claim %s: load: %w", object, err)
		}
		cur, err := ParseFence(stood)
		if err != nil {
			return nil, fmt.Errorf("claim %s: %w", object, err)
		}
		if !f.MayClaim(cur) {
			return nil, fmt.Errorf("claim %s: %w", object, &StaleError{Current: cur.Token})
		}
		version, err = c.Store(ctx, object, data, f.String(), version)
		if errors.Is(err, ErrPrecondition) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("claim %s: %w: %w", object, ErrUnknown, err)
		}
		return &Document{store: c, object: object, fence: f, data: data, version: version}, nil
	}
	return nil, fmt.Errorf("claim %s: %w: it is written all the time", object, ErrStale)
}

// Data gives the document as it was loaded or last saved; nil if there is none.
func (d *Document) Data() []byte { return d.data }

// Save writes the document. ErrStale means that another activation has claimed
// it; any other error is an ErrUnknown: the write may have happened. Either ends
// the Document, and what is in memory should be dropped.
func (d *Document) Save(ctx context.Context, data []byte) error {
	if d.ended != nil {
		return d.ended
	}
	version, err := d.store.Store(ctx, d.object, data, d.fence.String(), d.version)
	switch {
	case errors.Is(err, ErrPrecondition):
		d.ended = fmt.Errorf("save %s: %w", d.object, ErrStale)
		return d.ended
	case err != nil:
		d.ended = fmt.Errorf("save %s: %w", d.object, ErrStale)
		return fmt.Errorf("save %s: %w: %w", d.object, ErrUnknown, err)
	}
	d.data, d.version = data, version
	return nil
}
