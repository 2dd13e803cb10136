// Package wire holds what gateway, gate, agent and caller say to each other
// over HTTP: header names, the authentication of a stamped request, and the
// refusal of a gate. It is a leaf: it imports nothing of skewgate.
//
// gRPC carries the same names as metadata (lower case).
package wire

// Headers of skewgate. Names are canonical HTTP header names.
const (
	// Client to gateway.
	HeaderCaller           = "Skewgate-Caller"            // app@version of the caller; believed from trusted peers only
	HeaderPreview          = "Skewgate-Preview"           // name of a preview
	HeaderVersionOverrides = "Skewgate-Version-Overrides" // app="version", …

	// Gateway to host.
	HeaderObject     = "Skewgate-Object"     // Class/percent-encoded id
	HeaderSession    = "Skewgate-Session"    // session id that the pin names
	HeaderToken      = "Skewgate-Token"      // fencing token, decimal
	HeaderAuth       = "Skewgate-Auth"       // see Signer
	HeaderRefuse     = "Skewgate-Refuse"     // status with which the gate shall refuse: 421, 307 or 503
	HeaderActivation = "Skewgate-Activation" // "new" on the first event of an activation (agent to upstream)
	HeaderEvent      = "Skewgate-Event"      // id of the running event (agent to upstream, upstream to storage API)

	// Host to gateway.
	HeaderRefusal = "Skewgate-Refusal" // see Refusal

	// Gateway to client.
	HeaderObjectVersion = "Skewgate-Object-Version" // app@version that answered
	HeaderOverride      = "Skewgate-Override"       // what became of an asked-for override
)

// PathRelease is where a gate takes RELEASE requests (ownership.md §4).
const PathRelease = "/_skewgate/release"

// PathReady is where a gateway's data listener says whether it should get
// traffic: 200 or 503. An Envoy in front asks there.
const PathReady = "/_skewgate/readyz"
