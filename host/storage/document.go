package storage

import (
	"context"
	"errors"
	"fmt"
)

// ErrVersion says that a Conditional store gave the version that stood before
// it wrote: a hash of data without the fence beside it, as an ETag may be. Such a store does not fence.
var ErrVersion = errors.New("the version did not change with a write: the fence must be part of what it is made of")

// ErrPrecondition is what a Conditional store gives when another version stands.
var ErrPrecondition = errors.New("another version stands")

// Conditional is a store of one's own that can write only if a version still
// stands: an object store with ETags and If-Match, a table with a version
// column, a document database with revisions. A call is sent once: a Store
// that is sent again after its answer was lost gives ErrPrecondition for what it has itself written.
// storagetest.RunConditional holds one to it.
type Conditional interface {
	// Load gives the document, the fence that was kept with it, and the version
	// that Store asks for. Of a document that is not there all are zero.
	Load(ctx context.Context, object string) (data []byte, fence, version string, err error)
	// Store writes document and fence together if version still stands ("" means
	// that there is none) and gives the new version, another one for other data
	// or another fence. It fails with ErrPrecondition if another stands.
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
	onEnd   func(error)
}

// claimTries is how often Claim looks again when somebody else wrote in between.
const claimTries = 8

// Claim takes the document for the activation whose fence is f, and loads it:
// read, compare the fences, write back the same data with the new fence under
// the version that was read. It fails with ErrStale when a newer activation has
// claimed, and when others write again and again. onEnd is told once when a
// later Save finds the claim lost, or its own outcome unknown; it may be nil. In a host use
// Object.Document, which knows the fence and ends the activation then.
func Claim(ctx context.Context, c Conditional, object string, f Fence, onEnd func(error)) (*Document, error) {
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
		d := &Document{store: c, object: object, fence: f, version: version, onEnd: onEnd}
		switch err := d.write(ctx, data); {
		case errors.Is(err, ErrPrecondition):
			continue
		case err != nil:
			return nil, fmt.Errorf("claim %s: %w: %w", object, ErrUnknown, err)
		case d.version == version && cur != f: // the same claim again may change nothing
			return nil, fmt.Errorf("claim %s: %w", object, ErrVersion)
		}
		return d, nil
	}
	return nil, fmt.Errorf("claim %s: %w: it is written all the time", object, ErrStale)
}

// write stores data under the version that stands.
func (d *Document) write(ctx context.Context, data []byte) error {
	version, err := d.store.Store(ctx, d.object, data, d.fence.String(), d.version)
	if err != nil {
		return err
	}
	d.data, d.version = data, version
	return nil
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
	err := d.write(ctx, data)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrPrecondition):
		err = fmt.Errorf("save %s: %w", d.object, ErrStale)
	default:
		err = fmt.Errorf("save %s: %w: %w", d.object, ErrUnknown, err)
	}
	d.ended = fmt.Errorf("save %s: %w", d.object, ErrStale)
	if d.onEnd != nil {
		d.onEnd(err)
	}
	return err
}
