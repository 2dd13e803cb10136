package storage

import (
	"bytes"
	"slices"
	"strings"
)

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
