#!/bin/sh
# The binary compiles without cgo for Linux and macOS on both processors, and
# for Windows, where the compat commands are what is promised.
set -eu
cd "$(dirname "$0")/.."
for target in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64; do
	CGO_ENABLED=0 GOOS=${target%/*} GOARCH=${target#*/} go build -o /dev/null ./cmd/skewgate || {
		echo "cross: $target does not compile" >&2
		exit 1
	}
done
echo "cross: linux, darwin (amd64, arm64) and windows (amd64) compile without cgo"
