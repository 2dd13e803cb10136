#!/bin/sh
# Puts Node's gRPC and its xDS client at .tools/xds-node: a client of the
# control plane that shares no code with ours. Prints nothing when it is there.
set -eu
version=1.14.1
cd "$(dirname "$0")/.."
dir=.tools/xds-node
[ "$(cat "$dir/VERSION" 2>/dev/null)" = "$version" ] && exit 0
if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
	echo "xds-node: node or npm is missing" >&2
	echo "    → install nodejs and npm (Debian: apt-get install nodejs npm)" >&2
	exit 3
fi
echo "xds-node: fetching @grpc/grpc-js-xds $version into $dir" >&2
mkdir -p "$dir"
cd "$dir"
printf '{"private": true, "dependencies": {"@grpc/grpc-js": "~1.14.5", "@grpc/grpc-js-xds": "%s"}}\n' "$version" >package.json
npm install --no-audit --no-fund --ignore-scripts --loglevel=error
echo "$version" >VERSION
