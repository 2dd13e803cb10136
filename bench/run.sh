#!/bin/sh
# The benchmarks, each beside what one would use instead.
#   bench/run.sh                     lists them
#   bench/run.sh NAME [flags]        runs one; -h shows its flags
#   bench/run.sh all                 runs all of them as they are
#   bench/run.sh micro               go test's benchmarks of single functions
set -eu
cd "$(dirname "$0")/.."

# names of the programs below bench/; one with a module of its own keeps what it compares with out of the product's go.mod
names() {
	for main in bench/*/main.go; do basename "$(dirname "$main")"; done
}

run() {
	name=$1
	shift
	[ -f "bench/$name/main.go" ] || {
		echo "bench: there is no $name; these are there:" >&2
		names >&2
		exit 2
	}
	mkdir -p .tools/bench
	(cd "bench/$name" && go build -o "../../.tools/bench/$name" .)
	".tools/bench/$name" "$@"
}

case "${1:-list}" in
list)
	for name in $(names); do
		echo "$name: $(sed -n "s/^\/\/ Command $name //p" "bench/$name/main.go")"
	done
	echo "micro: go test's benchmarks of single functions"
	;;
all)
	for name in $(names); do
		echo "== $name"
		run "$name"
	done
	;;
micro)
	go test -run '^$' -bench . -benchtime 1s ./owners ./gateway ./host
	;;
*) run "$@" ;;
esac
