// Package gateway is the data plane: it finds the object that a request is
// for, the host that owns the object, and sends the request there.
//
// # The request path
//
//	begin event           one record per request, whatever becomes of it
//	table snapshot        configuration is a value, swapped whole
//	parse request         edge headers → Request; nothing else reads them
//	object key            Request → owners.Key
//	decide version        which versions may run the object: pure
//	resolve pin           cache, or the store; acquire when nobody owns it
//	guard                 may this caller's version call that object's version?
//	stamp and forward     object, session, token, signature; one attempt
//	gate's refusal?       nothing ran there: drop the pin, resolve again, under a bound
//	end event             tallies, metrics
//
// # Guarantees
//
//	G1  A gateway holds no lease and nothing durable. Whatever it believes, the
//	    host's gate and the storage decide; losing it loses a cache.
//	G2  A request is sent again only when it provably did not start (a gate's
//	    refusal, no connection, REFUSED_STREAM), within the class's hold time.
//	    An unknown outcome is answered as one, never resent.
//	G3  What waits is bounded: requests per object, bytes per class, time.
//	G4  A warm pin costs no store round trip and no allocation to look up.
//	G5  No client can set what a host trusts: our names are stripped from
//	    headers and trailers before they are stamped.
//	G6  The store is the truth about hosts, the table a hint: with control gone,
//	    hosts that come and go are still found.
//	G7  Every version override is answered: applied, or ignored with the reason.
//
// # Not guaranteed
//
// Two gateways may send requests of one object to two hosts for a moment; only
// one of the hosts admits them. A response that has begun when its host dies is
// cut. Affinity mode has no pins and no fence: an object is wherever its hash
// says, which changes with the hosts. Observe mode only watches.
package gateway
