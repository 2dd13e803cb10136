#!/bin/sh
# Every benchmark module below bench/, each beside what one would use instead.
# Arguments go to go test: bench/run.sh -bench NewPin -benchtime 5s
set -eu
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- -bench . -benchtime 1s
for module in */go.mod; do
	dir=$(dirname "$module")
	echo "== $dir"
	(cd "$dir" && go test -run '^$' "$@" ./...)
done
