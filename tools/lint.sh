#!/bin/sh
# golangci-lint (by .golangci.yml) and govulncheck, built from their modules.
set -eu
cd "$(dirname "$0")/.."
bin=$PWD/.tools/bin
lint=v2.15.0
vuln=v1.9.0
mkdir -p "$bin"
get() { # NAME VERSION MODULE
	[ -x "$bin/$1-$2" ] && return
	echo "lint: building $1 $2" >&2
	GOBIN=$bin go install "$3@$2"
	mv "$bin/$1" "$bin/$1-$2"
}
get golangci-lint $lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
get govulncheck $vuln golang.org/x/vuln/cmd/govulncheck
"$bin/golangci-lint-$lint" run ./...
# govulncheck reads a database on the network; say so where there is none.
"$bin/govulncheck-$vuln" ./... || echo "lint: govulncheck found something or could not reach its database (above)" >&2
