// Package xds carries a routing.Table from control to gateways as xDS
// resources, in the standard vocabulary, so that any xDS client can read it:
//
//	cluster   one for each app@version (and each preview of it)
//	EDS       its hosts; metadata "skewgate" says session, name, version, classes, state
//	RDS       "skewgate": a route for each service and path template of a class;
//	          weighted_clusters are the rollout's weights. Its metadata has the
//	          classes and deployments as a gateway needs them, salts included.
//	          "skewgate-matrix": no routes; its metadata is the incompatibility matrix.
//
// Encode and Decode are each other's inverse on routing.Spec. Gateways pick a
// version by object hash; other clients use the weights at random. Pins never
// travel here.
//
// Client is a delta ADS client: it validates a response whole, builds the next
// Table from it, and only then acknowledges; a response with anything wrong is
// refused with every reason and changes nothing. The last good Table stays in
// use through rejections, lost connections and control restarts, and State
// says how old it is. Not guaranteed: that two gateways change over at the
// same moment. Nothing in the ownership protocol needs that.
//
// DESIGN.md has the invariants of this package and of xds/control.
package xds
