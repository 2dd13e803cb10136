package rollout

import (
	"fmt"
	"strings"
)

// Reason is one reason why something may not be done, and what to type next.
type Reason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Next    string `json:"next,omitempty"`
	Unknown bool   `json:"unknown,omitempty"` // not a no: too little is known
}

// Codes of reasons.
const (
	CodeUnderWay        = "rollout_under_way"
	CodeNoRollout       = "no_rollout"
	CodeWrongPhase      = "wrong_phase"
	CodeNoBase          = "no_base"
	CodeNoHost          = "no_host"
	CodeCapacity        = "capacity"
	CodeUnknownVersion  = "unknown_version"
	CodeIncompatible    = "incompatible_pair"
	CodeWrongOrder      = "wrong_order"
	CodeStateUnreadable = "state_unreadable"
	CodeSame            = "already_there"
)

// Refusal is the error of an operation that was refused before it changed anything.
type Refusal struct{ Reasons []Reason }

// Error gives one reason a line, each with its next command.
func (r *Refusal) Error() string {
	var b strings.Builder
	b.WriteString("refused")
	for i, x := range r.Reasons {
		sep := "\n "
		if len(r.Reasons) == 1 {
			sep = ": "
		} else {
			sep += fmt.Sprint(i+1) + " "
		}
		b.WriteString(sep + x.Message)
		if x.Next != "" {
			b.WriteString("\n    → " + x.Next)
		}
	}
	return b.String()
}

// Unknown says that nothing speaks against it but that too little is known.
func (r *Refusal) Unknown() bool {
	for _, x := range r.Reasons {
		if !x.Unknown {
			return false
		}
	}
	return true
}

func refuse(code, next, format string, args ...any) *Refusal {
	return &Refusal{[]Reason{{Code: code, Message: fmt.Sprintf(format, args...), Next: next}}}
}
