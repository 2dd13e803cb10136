// Package control is the control plane: it reads the mesh file, the sessions
// of hosts, rollouts' deployments and the incompatibility matrix, and serves
// them as xDS to gateways, Envoys and grpc clients.
//
//	intent   what is wanted: plain data from the sources
//	build    intent → resources for each role; pure. A state that a client would
//	         refuse is not built, so not published
//	publish  make before break: clusters and endpoints, then routes, then removal
//	acks     who has acknowledged what, and who refused it, and why
//
// Endpoints have a path of their own: a change of sessions is published at
// once, whatever a slow client or a change of configuration is waiting for.
// Configuration is debounced.
//
// Guarantees: a stream is not answered before every source has been read once,
// so a control that starts beside a dead store takes nothing away from a
// gateway; a source that fails later leaves what it said last; a refusal by
// one client stops no other; two controls that read the same publish the same
// resource versions, so a client may move between them.
// Not guaranteed: that what was published arrived (Proxies tells).
package control
