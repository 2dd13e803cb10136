// Package fleet starts what a measurement of the whole needs, as processes: a
// mesh on a fresh Redis, hosts, agents, and the plain upstreams and proxies
// beside which they are measured.
package fleet
