package compat

// Effect is what happens to bytes of one version in the hands of another.
type Effect string

// The effects, with what each does to the answer (severityOf).
const (
	Unimplemented Effect = "unimplemented" // the callee has no such method, or the stream cardinality makes the call fail
	Fails         Effect = "error"         // the reader refuses the bytes
	Value         Effect = "value"         // decodes silently to another value
	Loss          Effect = "loss"          // the reader has the thing, and the writer's value does not arrive in it, or is merged
	Presence      Effect = "presence"      // set and unset are no longer told apart
	Semantic      Effect = "semantic"      // same bytes, other meaning
	Drop          Effect = "drop"          // the reader has no such thing and ignores it
)

// Severity is how much a finding matters by default.
type Severity string

// The severities, most severe first.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
)

// rank orders severities: smaller is worse.
func (s Severity) rank() int {
	switch s {
	case Error:
		return 0
	case Warning:
		return 1
	default:
		return 2
	}
}

// harm orders effects for people: what corrupts silently comes before what
// fails loudly, and that before what is merely ignored.
func (e Effect) harm() int {
	for i, other := range [...]Effect{Value, Loss, Fails, Unimplemented, Presence, Semantic, Drop} {
		if e == other {
			return i
		}
	}
	return len("?") << 8
}

// Leg says which way bytes go.
type Leg string

// The legs of a class.
const (
	LegRequest  Leg = "request"  // a worker writes, an object reads
	LegResponse Leg = "response" // an object writes, a worker reads
	LegState    Leg = "state"    // an object of one version wrote it, code of another loads it
)

// Encoding is how a message is written.
type Encoding string

// The encodings.
const (
	Binary  Encoding = "binary"
	JSON    Encoding = "json"         // ProtoJSON; unknown names are errors
	Lenient Encoding = "json-lenient" // ProtoJSON; unknown names are ignored
)

func (e Encoding) isJSON() bool { return e != Binary }

// keepsUnknown says whether a reader that writes the message back keeps what
// it did not know.
func (e Encoding) keepsUnknown() bool { return e == Binary }

// Profile is how the reader's language decodes.
type Profile string

// The reader profiles.
const (
	Spec Profile = "spec" // as the protobuf specification says: closed enums are closed
	Go   Profile = "go"   // as Go does: every enum is open
)

// severityOf is the default severity of an effect. A dropped request field is
// an argument that the object never sees: worth a warning. A dropped response
// or state field is what every addition does.
func severityOf(e Effect, leg Leg) Severity {
	switch e {
	case Unimplemented, Fails, Value, Loss:
		return Error
	case Presence, Semantic:
		return Warning
	case Drop:
		if leg == LegRequest {
			return Warning
		}
	}
	return Info
}
