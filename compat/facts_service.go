package compat

import (
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// roots lists where a flow starts, with the facts about the calls themselves.
func (j *judge) roots(fl flow) []root {
	if fl.leg == LegState && !fl.class.messages {
		roots := j.stateRoots(fl)
		j.checks += len(roots)
		return roots
	}
	if fl.leg == LegState {
		roots := j.messages(fl)
		j.checks += len(roots)
		return roots
	}
	var roots []root
	for _, name := range fl.class.services {
		if j.pair != nil && j.pair.UnchangedService(name) {
			continue
		}
		roots = append(roots, j.service(fl, name)...)
	}
	if fl.class.messages {
		roots = append(roots, j.messages(fl)...)
	}
	j.checks += len(roots) + j.unchangedMethods(fl.class)
	return roots
}

// unchangedMethods counts what was compared without being compiled.
func (j *judge) unchangedMethods(c *class) int {
	n := 0
	for _, name := range c.services {
		n += j.unchanged[name]
	}
	return n
}

// service compares the methods of a service as the caller and the callee know
// them.
func (j *judge) service(fl flow, name protoreflect.FullName) []root {
	caller, callee := fl.writer, fl.reader
	if fl.leg == LegResponse {
		caller, callee = callee, caller
	}
	calls, serves := j.versions[caller].Set.Service(name), j.versions[callee].Set.Service(name)
	if calls == nil {
		return nil
	}
	if serves == nil {
		return missingService(fl, calls)
	}
	var roots []root
	for i := range calls.Methods().Len() {
		call := calls.Methods().Get(i)
		roots = append(roots, methodRoot(fl, call, serves.Methods().ByName(call.Name())))
	}
	return roots
}

// missingService is one fact, however many methods it takes along.
func missingService(fl flow, calls protoreflect.ServiceDescriptor) []root {
	f := &fact{kind: serviceMissing, w: calls}
	var roots []root
	for i := range calls.Methods().Len() {
		r := root{method: methodPath(calls.Methods().Get(i))}
		if fl.leg == LegRequest {
			r.facts = []*fact{f}
		}
		roots = append(roots, r)
	}
	return roots
}

func methodPath(m protoreflect.MethodDescriptor) string {
	return "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
}

// methodRoot compares one call with its callee. What is about the call itself
// belongs to the leg on which it fails.
func methodRoot(fl flow, call, serve protoreflect.MethodDescriptor) root {
	r := root{method: methodPath(call)}
	if serve == nil {
		if fl.leg == LegRequest {
			r.facts = []*fact{{kind: methodMissing, w: call}}
		}
		return r
	}
	if fl.leg == LegRequest {
		r.w, r.r = call.Input(), serve.Input()
		r.call, r.serve = call, serve
		if call.IsStreamingClient() && !serve.IsStreamingClient() {
			r.facts = append(r.facts, &fact{kind: clientStream, w: call, r: serve})
		}
		if promises(call) > promises(serve) {
			r.facts = append(r.facts, &fact{kind: idempotency, w: call, r: serve})
		}
		return r
	}
	r.w, r.r = serve.Output(), call.Output()
	r.call, r.serve = serve, call
	if serve.IsStreamingServer() && !call.IsStreamingServer() {
		r.facts = append(r.facts, &fact{kind: serverStream, w: serve, r: call})
	}
	return r
}

// promises orders idempotency levels by how much a caller may rely on.
func promises(m protoreflect.MethodDescriptor) int {
	switch idempotencyOf(m) {
	case descriptorpb.MethodOptions_NO_SIDE_EFFECTS:
		return 2
	case descriptorpb.MethodOptions_IDEMPOTENT:
		return 1
	default:
		return 0
	}
}

func idempotencyOf(m protoreflect.MethodDescriptor) descriptorpb.MethodOptions_IdempotencyLevel {
	if o, ok := m.Options().(*descriptorpb.MethodOptions); ok {
		return o.GetIdempotencyLevel()
	}
	return descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
}
