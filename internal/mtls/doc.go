// Package mtls makes the TLS of both ends between gateways and hosts' gates
// from files, and takes the files over again when they have changed.
//
// A peer is believed when its certificate is valid, was issued by an authority
// in CAFile, and carries one of the names in Peers. The name is what tells a
// gateway from a host of the same authority: hosts ask for gateways' names and
// gateways for hosts', so that a stolen host cannot speak as a gateway. An
// address is never compared: pods change theirs, and no certificate follows.
//
// Guarantees: a pair that does not fit, an expired certificate and a wrong name
// are errors before anything listens. Files are looked at once a second, when a
// connection begins; a wrong change is logged and the last good state stays.
// Connections that stand are not ended by a change.
package mtls
