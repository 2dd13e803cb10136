package storage

import (
	"bytes"
	"slices"
	"strings"
)

// ListOptions select keys in byte order. The zero value selects all, up to MaxList.
type ListOptions struct {
	Prefix  string
	Start   string // first key, inclusive
	End     string // last key, exclusive; "" means no end
	Limit   int    // 1 to MaxList; 0 means MaxList. Anything else is an ErrLimit
	Reverse bool   // from the end
}

// MaxList is the most entries that one List gives.
const MaxList = 1000

// withLimit checks the limit and sets the one that 0 means.
func (o ListOptions) withLimit() (ListOptions, error) {
	if o.Limit < 0 || o.Limit > MaxList {
		return o, &LimitError{"list", o.Limit, MaxList}
	}
	if o.Limit == 0 {
		o.Limit = MaxList
	}
	return o, nil
}

// bounds gives the half-open range of keys that o selects; end "" means no end.
func (o ListOptions) bounds() (start, end string) {
	start, end = o.Start, o.End
	if o.Prefix == "" {
		return start, end
	}
	start = max(start, o.Prefix)
	if after := successor(o.Prefix); after != "" && (end == "" || after < end) {
		end = after
	}
	return start, end
}

// successor is the first string after all strings that begin with prefix; "" if there is none.
func successor(prefix string) string {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			return prefix[:i] + string([]byte{prefix[i] + 1})
		}
	}
	return ""
}

// empty says that the range can hold no key at all.
func (o ListOptions) empty() bool {
	start, end := o.bounds()
	return end != "" && start >= end
}

// apply selects from a map what a server would select from its index.
func (o ListOptions) apply(all map[string][]byte) []Entry {
	start, end := o.bounds()
	var out []Entry
	for k, v := range all {
		if k >= start && (end == "" || k < end) {
			out = append(out, Entry{k, bytes.Clone(v)})
		}
	}
	slices.SortFunc(out, func(a, b Entry) int {
		if o.Reverse {
			a, b = b, a
		}
		return strings.Compare(a.Key, b.Key)
	})
	return out[:min(len(out), o.Limit)]
}
