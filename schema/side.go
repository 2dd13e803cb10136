package schema

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/skewgate/skewgate/problem"
)

// side is one input that has sources, opened: its files by import path, and
// where imports from outside it are found. It implements sources.
type side struct {
	opts      Options
	name      string
	manifest  *Manifest
	tree      tree
	own       map[string]string // import path → path in the tree
	paths     []string          // the keys of own, sorted
	protoPath []*dirTree

	mu     sync.Mutex
	origin map[string]int    // import path → index in protoPath, of those that were found there
	texts  map[string][]byte // of files that cannot be read again once the tree is closed
}

func openSide(ctx context.Context, in Input, opts Options) (*side, error) {
	t, err := openTree(ctx, in, opts.parallelism())
	if err != nil {
		return nil, err
	}
	s := &side{opts: opts, name: opts.name(in), tree: t, own: map[string]string{}, origin: map[string]int{}, texts: map[string][]byte{}}
	if err := s.open(ctx, in); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *side) open(ctx context.Context, in Input) (err error) {
	s.manifest, err = readManifest(ctx, s.tree.display(ManifestName), s.opts, func() ([]byte, error) {
		return s.tree.readFile(ctx, ManifestName)
	})
	if err != nil {
		return err
	}
	for _, dir := range s.opts.ProtoPath {
		t, err := openDir(dir, 1)
		if err != nil {
			return err
		}
		s.protoPath = append(s.protoPath, t)
	}
	roots := []string{"."}
	if s.manifest != nil {
		roots = s.manifest.Roots
	}
	for _, root := range roots {
		if err := s.addRoot(ctx, root, in.Prefix); err != nil {
			return err
		}
	}
	if len(s.own) == 0 {
		return inputError(in.Text, "", "there are no .proto files in it")
	}
	for p := range s.own {
		s.paths = append(s.paths, p)
	}
	slices.Sort(s.paths)
	return nil
}

func (s *side) addRoot(ctx context.Context, root, prefix string) error {
	found, err := s.tree.protos(ctx, root)
	if err != nil {
		return err
	}
	var problems problem.List
	for _, p := range found {
		rel := p
		if root != "." {
			rel = strings.TrimPrefix(p, root+"/")
		}
		importPath := path.Join(prefix, rel)
		switch first, twice := s.own[importPath]; {
		case twice && first != p:
			problems = append(problems, problem.Problem{File: s.tree.display(p), Message: fmt.Sprintf("is imported as %s, and so is %s", importPath, s.tree.display(first)),
				Hint: "roots must not have files of the same path"})
		default:
			s.own[importPath] = p
		}
	}
	return problems.Err()
}

func (s *side) close() error {
	errs := []error{s.tree.close()}
	for _, t := range s.protoPath {
		errs = append(errs, t.close())
	}
	return errors.Join(errs...)
}

// source implements sources: the input first, then the proto paths.
func (s *side) source(importPath string) (string, error) {
	data, err := s.read(importPath)
	if err != nil {
		return "", err
	}
	if err := checkSource(s.display(importPath), data); err != nil {
		return "", err
	}
	return string(data), nil
}

func (s *side) read(importPath string) ([]byte, error) {
	if p, ok := s.own[importPath]; ok {
		data, err := s.tree.readFile(context.Background(), p)
		if _, isGit := s.tree.(*gitTree); isGit && err == nil {
			s.mu.Lock()
			s.texts[importPath] = data
			s.mu.Unlock()
		}
		return data, err
	}
	return s.onProtoPath(importPath)
}

// outside reads a file that is not the input's own.
func (s *side) outside(importPath string) (text []byte, builtIn bool, err error) {
	text, err = s.onProtoPath(importPath)
	if known, ok := wellKnown(importPath); ok && errors.Is(err, fs.ErrNotExist) {
		return []byte(known), true, nil
	}
	return text, false, err
}

func (s *side) onProtoPath(importPath string) ([]byte, error) {
	if clean, ok := cleanSlashPath(importPath); !ok || clean != importPath {
		return nil, fmt.Errorf("import %s: %w", importPath, fs.ErrNotExist)
	}
	for i, dir := range s.protoPath {
		data, err := dir.readFile(context.Background(), importPath)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		s.mu.Lock()
		s.origin[importPath] = i
		s.mu.Unlock()
		return data, err
	}
	return nil, fmt.Errorf("import %s: %w", importPath, fs.ErrNotExist)
}

// reread is read for places, which may be asked for after the side is closed.
func (s *side) reread(importPath string) ([]byte, error) {
	s.mu.Lock()
	text, kept := s.texts[importPath]
	i, onProtoPath := s.origin[importPath]
	s.mu.Unlock()
	p, own := s.own[importPath]
	dir, isDir := s.tree.(*dirTree)
	switch {
	case kept:
		return text, nil
	case onProtoPath && !own:
		dir, p = s.protoPath[i], importPath
	case !own:
		text, _ := wellKnown(importPath)
		return []byte(text), nil
	case !isDir: // sources in memory: those of a closed repository were kept
		if _, inMemory := s.tree.(mapTree); !inMemory {
			return nil, fmt.Errorf("read %s: %w", importPath, fs.ErrNotExist)
		}
		return s.tree.readFile(context.Background(), p)
	}
	again, err := openDir(dir.path, 1)
	if err != nil {
		return nil, err
	}
	defer again.close()
	return again.readFile(context.Background(), p)
}

// display implements sources.
func (s *side) display(importPath string) string {
	if p, ok := s.own[importPath]; ok {
		return s.tree.display(p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.origin[importPath]; ok {
		return s.protoPath[i].display(importPath)
	}
	return importPath
}

// compileAll makes the Set of a side on its own, of all that is wanted.
func (s *side) compileAll(ctx context.Context, g *graph, full bool) (*Set, error) {
	roots, missing := g.wanted(s.opts.want(s.manifest))
	odd := g.oddWhere(missing || s.opts.wantsEverything(s.manifest))
	sel := g.whole(roots)
	sel.lacks = missing
	return sel.compile(ctx, odd, full || len(odd) > 0)
}

// atRevision says of problems in a git revision at which one they are: their
// files' names are those of the work tree, where all may be well.
func (s *side) atRevision(err error) error {
	list, ok := err.(problem.List)
	if _, isGit := s.tree.(*gitTree); !ok || !isGit {
		return err
	}
	list = slices.Clone(list)
	for i, p := range list {
		if p.File != "" {
			list[i].Message += " (at " + s.name + ")"
		}
	}
	return list
}

// importHint looks for a file whose path only lacks the front part, or has too
// much of one.
func (s *side) importHint(importPath string) string {
	for _, p := range s.paths {
		if root, ok := strings.CutSuffix(p, "/"+importPath); ok {
			return fmt.Sprintf("%s is there: imports start from %s; write it in %s as schema: {roots: [%s]}", s.display(p), root, ManifestName, root)
		}
		if prefix, ok := strings.CutSuffix(importPath, "/"+p); ok {
			return fmt.Sprintf("%s is there: add ,prefix=%s to the input", s.display(p), prefix)
		}
	}
	return "give the directory that it starts from with --proto-path"
}
