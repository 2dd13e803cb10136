package compat

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/skewgate/skewgate/compat/report"
)

// maxVersions bounds a matrix: it compares each version with each other.
const maxVersions = 64

// MatrixRequest is a question about any number of versions, oldest first.
type MatrixRequest struct {
	Versions []Version
	Options

	// Ahead says that the question is asked before a rollout, as a check of two
	// inputs is, not of what runs: a version of an app is taken to run what
	// another version of the app exports, so that what a manifest leaves out is
	// compared too; and if nobody meets anybody, that is an error.
	Ahead bool
}

// MatrixResult is who may meet whom.
type MatrixResult struct {
	Report *report.Report // for people and tools
	Cells  []Cell         // for a guard: what is refused, method by method
}

// Cell is one reason why a caller of one version must not call one method of
// an object of another. Methods without a cell may be called.
type Cell struct {
	Class   string `json:"class"`
	Caller  string `json:"caller"`  // app@version, or the version's name
	Version string `json:"version"` // the caller's version
	Object  string `json:"object"`  // the object's version
	Method  string `json:"method"`  // /package.Service/Method
	Rule    string `json:"rule"`
	Effect  string `json:"effect"`
	Leg     string `json:"leg"`
	Path    string `json:"path"`
	Message string `json:"message"`
}

// Matrix says which of many versions may meet.
func Matrix(ctx context.Context, req MatrixRequest) (*MatrixResult, error) {
	if len(req.Versions) < 2 {
		return nil, usageError{"a matrix needs two versions at least", "give NAME=INPUT twice"}
	}
	if len(req.Versions) > maxVersions {
		return nil, usageError{fmt.Sprintf("a matrix of %d versions", len(req.Versions)), fmt.Sprintf("%d is the most", maxVersions)}
	}
	req.Options.matrix, req.Options.ahead = true, req.Ahead
	k, err := run(ctx, req.Versions, nil, req.Options)
	if err != nil {
		return nil, err
	}
	return &MatrixResult{Report: k.report(), Cells: k.cells()}, nil
}

// cells lists what is an error by default, for each method that it reaches.
func (k *check) cells() []Cell {
	cells := []Cell{}
	for _, h := range k.hits {
		if h.leg == LegState || h.severity() != Error {
			continue
		}
		at := h.meeting()
		worker := k.versions[at[0]]
		cell := Cell{
			Class: h.class.name, Caller: worker.Name, Version: worker.Name, Object: k.versions[at[1]].Name,
			Rule: h.rule.ID, Effect: string(h.effect), Leg: string(h.leg), Path: h.path(), Message: k.message(h),
		}
		if worker.App != "" {
			cell.Caller = worker.App + "@" + worker.Name
		}
		for _, m := range h.methods {
			cell.Method = m
			cells = append(cells, cell)
		}
	}
	slices.SortFunc(cells, func(a, b Cell) int {
		return cmp.Or(
			strings.Compare(a.Class, b.Class), strings.Compare(a.Caller, b.Caller), strings.Compare(a.Object, b.Object),
			strings.Compare(a.Method, b.Method), strings.Compare(a.Rule, b.Rule), strings.Compare(a.Leg, b.Leg),
			strings.Compare(a.Path, b.Path), strings.Compare(a.Effect, b.Effect), strings.Compare(a.Message, b.Message),
		)
	})
	return slices.Compact(cells)
}
