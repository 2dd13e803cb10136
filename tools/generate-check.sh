#!/bin/sh
# Generated code is what its sources generate, byte for byte.
set -eu
cd "$(dirname "$0")/.."
sum() { find examples -name '*.pb.go' -exec sha256sum {} + | sort -k2; }
before=$(sum)
go generate ./...
if [ "$before" != "$(sum)" ]; then
	echo "generated code differs from its sources; run make generate and commit:" >&2
	git --no-pager diff --stat -- '*.pb.go' >&2 || true
	exit 1
fi
echo "generate: no difference"
