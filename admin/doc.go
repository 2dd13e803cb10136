// Package admin is the HTTP JSON API of a mesh and its Go client. Everything
// that the command line and the console show comes from here, so people can
// build on it; openapi.yaml describes it and a test holds it to the handlers.
//
// Every answer is one JSON object with apiVersion and kind. Errors are
// application/problem+json (RFC 9457) with a code, and with what to type next
// where there is something.
//
// The API changes what runs where, so it listens on the loopback interface
// unless told otherwise, and asks for a bearer token when one is configured.
// /livez, /readyz and /metrics need none. Each change is logged and kept in
// the audit list: who, what, on what, and how it ended.
package admin
