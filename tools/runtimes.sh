#!/bin/sh
# Puts protobuf-es (Node) and Python's protobuf at .tools/runtimes: decoders that
# share no code with ours, to hold our witnesses against. Prints nothing when
# they are there. Exit status 3: they cannot be had, and why.
set -eu
es=2.17.0
python=7.36.2
cd "$(dirname "$0")/.."
dir=.tools/runtimes
[ "$(cat "$dir/VERSION" 2>/dev/null)" = "es $es python $python" ] && exit 0

cannot() {
	echo "runtimes: $1" >&2
	echo "    → $2" >&2
	exit 3
}
for tool in node npm python3; do
	command -v $tool >/dev/null 2>&1 || cannot "$tool is missing" "install it (Debian: apt-get install nodejs npm python3 python3-pip)"
done
python3 -m pip --version >/dev/null 2>&1 || cannot "python3 has no pip" "install it (Debian: apt-get install python3-pip)"

echo "runtimes: fetching @bufbuild/protobuf $es and protobuf $python (Python) into $dir" >&2
rm -rf "$dir"
mkdir -p "$dir"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix "$dir" "@bufbuild/protobuf@$es" >"$log" 2>&1; then
	tail -3 "$log" >&2
	cannot "the npm package @bufbuild/protobuf@$es could not be fetched" "get on line and run again"
fi
if ! python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$dir/python" "protobuf==$python" >"$log" 2>&1; then
	tail -3 "$log" >&2
	cannot "the Python package protobuf==$python could not be fetched" "get on line and run again (it needs Python 3.10 or newer)"
fi
echo "es $es python $python" >"$dir/VERSION"
