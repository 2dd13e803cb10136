package schema

import (
	"context"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// selection is what of a side goes into a Set.
type selection struct {
	graph *graph
	roots []node        // services and messages that were wanted and are there
	kept  map[node]bool // what is compiled
	stubs []stub        // by name of the service
	lacks bool          // a name that was wanted is not there
}

// stub is methods of a service that are shown without their types.
type stub struct {
	service node
	methods []node
}

// wanted finds what a Want names; all services without one. missing tells that
// a name was not found.
func (g *graph) wanted(w *Want) (roots []node, missing bool) {
	if w != nil && !w.All {
		for _, name := range slices.Concat(w.Services, w.Messages) {
			if found := g.byName[name]; len(found) > 0 {
				roots = append(roots, found...)
			} else {
				missing = true
			}
		}
		return unique(append(roots, g.payloadHolders()...)), missing
	}
	for _, f := range g.files {
		if !f.own {
			continue
		}
		for i, d := range f.decls {
			if d.kind == declService || w != nil && (d.kind == declMessage || d.kind == declEnum || d.kind == declExtension) {
				roots = append(roots, node{f, i})
			}
		}
	}
	return unique(append(roots, g.payloadHolders()...)), false
}

func unique(nodes []node) []node {
	seen := map[node]bool{}
	return slices.DeleteFunc(nodes, func(n node) bool {
		twice := seen[n]
		seen[n] = true
		return twice
	})
}

// oddWhere are own files that the scanner does not understand: what is declared
// in them is not known, which matters where everything is wanted, or something
// was not found.
func (x *index) oddWhere(matters bool) []*indexedFile {
	var odd []*indexedFile
	for _, f := range x.files {
		if f.own && f.odd && matters {
			odd = append(odd, f)
		}
	}
	return odd
}

// declared lists the full names of the input's own services, or messages.
func (g *graph) declared(kind declKind) []string {
	var names []string
	for _, f := range g.files {
		if !f.own {
			continue
		}
		for _, d := range f.decls {
			if d.kind == kind {
				names = append(names, d.name)
			}
		}
	}
	return names
}

// whole selects all that is wanted.
func (g *graph) whole(roots []node) *selection {
	s := &selection{graph: g, roots: roots, kept: map[node]bool{}}
	for _, n := range roots {
		g.reach(n, s.kept)
	}
	return s
}

// keptFiles are the files of a selection, and extra ones, by path.
func (s *selection) keptFiles(extra []*indexedFile) []*indexedFile {
	files := map[*indexedFile]bool{}
	for n := range s.kept {
		files[n.file] = true
	}
	for _, f := range extra {
		files[f] = true
	}
	return slices.SortedFunc(maps.Keys(files), func(a, b *indexedFile) int { return strings.Compare(a.path, b.path) })
}

// paths are what the compiler is asked for. The well-known types of its own
// come by being imported; asked for by name they would count as other files.
func paths(files []*indexedFile) []string {
	var list []string
	for _, f := range files {
		if !f.builtIn {
			list = append(list, f.path)
		}
	}
	return list
}

// compile makes a Set of a selection: from reduced sources, and from whole
// files if those do not compile.
func (s *selection) compile(ctx context.Context, extra []*indexedFile, full bool) (*Set, error) {
	side := s.graph.side
	files := s.keptFiles(extra)
	if err := s.graph.missingImports(files); err != nil {
		return nil, side.atRevision(err)
	}
	set := &Set{Name: side.name, Manifest: side.manifest, own: map[string]bool{}}
	for p := range side.own {
		set.own[p] = true
	}
	if s.lacks {
		set.known = map[declKind][]string{declService: s.graph.declared(declService), declMessage: s.graph.declared(declMessage)}
	}
	set.places = newSourcePlacer(side)
	if list := paths(files); len(list) > 0 {
		protos, err := s.compileFiles(ctx, list, full)
		if err != nil {
			return nil, side.atRevision(err)
		}
		set.protos = protos.File
	}
	if err := s.keepStubTexts(); err != nil {
		return nil, err
	}
	s.showStubs(set)
	if err := set.link(); err != nil {
		return nil, err
	}
	return set, nil
}

func (s *selection) compileFiles(ctx context.Context, paths []string, full bool) (*descriptorpb.FileDescriptorSet, error) {
	side := s.graph.side
	if !full {
		protos, err := compile(ctx, newReduction(s.graph, s.kept), paths, side.opts.parallelism())
		if err == nil || ctx.Err() != nil {
			return protos, err
		}
	}
	protos, err := compile(ctx, side, paths, side.opts.parallelism())
	if err != nil {
		return nil, err
	}
	s.pruneMethods(protos)
	return protos, nil
}

// pruneMethods leaves out services and methods that a reduction would have
// left out.
func (s *selection) pruneMethods(protos *descriptorpb.FileDescriptorSet) {
	kept := map[string]bool{}
	for n := range s.kept {
		if k := n.decl().kind; k == declService || k == declMethod {
			kept[n.decl().name] = true
		}
	}
	for _, file := range protos.File {
		if f := s.graph.byPath[file.GetName()]; f == nil || f.odd {
			continue
		}
		file.Service = slices.DeleteFunc(file.Service, func(service *descriptorpb.ServiceDescriptorProto) bool {
			name := joinName(file.GetPackage(), service.GetName())
			service.Method = slices.DeleteFunc(service.Method, func(m *descriptorpb.MethodDescriptorProto) bool { return !kept[name+"."+m.GetName()] })
			return !kept[name]
		})
	}
}

func joinName(pkg, name string) string {
	if pkg == "" {
		return name
	}
	return pkg + "." + name
}

// keepStubTexts has the side read the files of what is shown, for places: a
// closed repository cannot be asked later.
func (s *selection) keepStubTexts() error {
	if _, isGit := s.graph.side.tree.(*gitTree); !isGit {
		return nil
	}
	for _, stub := range s.stubs {
		if _, err := s.graph.side.read(stub.service.file.path); err != nil {
			return err
		}
	}
	return nil
}

// showStubs adds methods that are shown without their types: the types are
// placeholders unless something else compiled them.
func (s *selection) showStubs(set *Set) {
	files := map[string]*descriptorpb.FileDescriptorProto{}
	for _, f := range set.protos {
		files[f.GetName()] = f
	}
	for _, stub := range s.stubs {
		f := files[stub.service.file.path]
		if f == nil {
			f = &descriptorpb.FileDescriptorProto{Name: &stub.service.file.path, Syntax: proto.String("proto3")}
			if pkg := stub.service.file.pkg; pkg != "" {
				f.Package = &pkg
			}
			files[f.GetName()] = f
			set.protos = append(set.protos, f)
		}
		service := serviceIn(f, stub.service.decl().name)
		for _, m := range stub.methods {
			d := m.decl()
			service.Method = append(service.Method, &descriptorpb.MethodDescriptorProto{
				Name:            proto.String(d.name[len(parentName(d.name))+1:]),
				InputType:       proto.String(s.typeOf(m, 0, files)),
				OutputType:      proto.String(s.typeOf(m, 1, files)),
				ClientStreaming: proto.Bool(d.clientStream), ServerStreaming: proto.Bool(d.serverStream),
			})
		}
	}
	set.partial = len(s.stubs) > 0
}

func serviceIn(f *descriptorpb.FileDescriptorProto, fullName string) *descriptorpb.ServiceDescriptorProto {
	name := strings.TrimPrefix(strings.TrimPrefix(fullName, f.GetPackage()), ".")
	for _, service := range f.Service {
		if service.GetName() == name {
			return service
		}
	}
	f.Service = append(f.Service, &descriptorpb.ServiceDescriptorProto{Name: &name})
	return f.Service[len(f.Service)-1]
}

// typeOf names the request (0) or response (1) of a method, importing its file
// if that is compiled.
func (s *selection) typeOf(m node, i int, files map[string]*descriptorpb.FileDescriptorProto) string {
	d := m.decl()
	if i >= len(d.refs) {
		return "."
	}
	for _, n := range s.graph.resolve(d, d.refs[i]) {
		if n.decl().kind != declMessage || !s.graph.visible(n.file, m.file) {
			continue
		}
		if n.file != m.file && files[n.file.path] != nil {
			if f := files[m.file.path]; !slices.Contains(f.Dependency, n.file.path) {
				f.Dependency = append(f.Dependency, n.file.path)
			}
		}
		return "." + n.decl().name
	}
	return "." + strings.TrimPrefix(d.refs[i], ".")
}
