// Package cart is what the example shop sells: a cart as one object with its
// state in memory and in fenced storage. The two versions of the app share it;
// they differ in their schemas (v1/, v2/), hence in Codec and gRPC methods.
package cart

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/skewgate/skewgate/host"
)

// Item is one line of a cart.
type Item struct {
	SKU        string `json:"sku"`
	Quantity   int32  `json:"quantity"`
	PriceCents int32  `json:"priceCents"`
}

// State is what a cart holds, in the form of no version.
type State struct {
	Items      []Item `json:"items"`
	Revision   int64  `json:"revision"` // how often the cart changed
	TotalCents int64  `json:"totalCents"`
	Coupon     string `json:"coupon,omitempty"`
}

// Codec is how a version keeps a State in storage.
type Codec interface {
	Marshal(State) ([]byte, error)
	Unmarshal([]byte) (State, error)
}

const stateKey = "state"

// ErrBadItem says that an item cannot be put into a cart.
var ErrBadItem = errors.New("an item needs a sku and a quantity of at least 1")

// Cart is one activation of one cart. Writes go to storage first: memory never
// holds what storage refused.
type Cart struct {
	object *host.Object
	codec  Codec

	mu       sync.Mutex
	state    State
	watchers map[chan State]bool
}

// Load makes a Cart of what storage holds.
func Load(ctx context.Context, o *host.Object, codec Codec) (*Cart, error) {
	c := &Cart{object: o, codec: codec, watchers: map[chan State]bool{}}
	data, err := o.Storage().Get(ctx, stateKey)
	if err != nil || data == nil {
		return c, err
	}
	c.state, err = codec.Unmarshal(data)
	return c, err
}

// State gives the cart as it is.
func (c *Cart) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Add puts an item into the cart.
func (c *Cart) Add(ctx context.Context, it Item) (State, error) {
	if it.SKU == "" || it.Quantity < 1 {
		return State{}, ErrBadItem
	}
	return c.change(ctx, func(s *State) {
		s.TotalCents += int64(it.Quantity) * int64(it.PriceCents)
		for i := range s.Items {
			if s.Items[i].SKU == it.SKU {
				s.Items[i].Quantity += it.Quantity
				return
			}
		}
		s.Items = append(s.Items, it)
	})
}

// ApplyCoupon takes ten percent off, once.
func (c *Cart) ApplyCoupon(ctx context.Context, code string) (State, error) {
	if code == "" {
		return State{}, errors.New("a coupon needs a code")
	}
	return c.change(ctx, func(s *State) {
		if s.Coupon == "" {
			s.TotalCents -= s.TotalCents / 10
		}
		s.Coupon = code
	})
}

func (c *Cart) change(ctx context.Context, edit func(*State)) (State, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.state
	next.Items = append([]Item(nil), c.state.Items...)
	edit(&next)
	next.Revision++
	data, err := c.codec.Marshal(next)
	if err != nil {
		return State{}, fmt.Errorf("encode cart: %w", err)
	}
	if err := c.object.Storage().Put(ctx, stateKey, data); err != nil {
		return State{}, fmt.Errorf("save cart: %w", err)
	}
	c.state = next
	for w := range c.watchers {
		offer(w, next)
	}
	return next, nil
}

// Watch sends the cart now and after every change, the newest if the reader is
// slow, until stop is called.
func (c *Cart) Watch() (changes <-chan State, stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := make(chan State, 1)
	w <- c.state
	c.watchers[w] = true
	return w, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watchers, w)
	}
}

func offer(w chan State, s State) {
	select {
	case <-w: // a slow reader gets the newest
	default:
	}
	w <- s
}
