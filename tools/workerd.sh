#!/bin/sh
# Puts the real workerd, as its npm package ships it, at .tools/workerd/workerd.
# Prints nothing when it is there already. Exit status 3: it cannot be had, and why.
set -eu
version=1.20261023.1
cd "$(dirname "$0")/.."
dir=.tools/workerd
[ -x "$dir/workerd" ] && [ "$(cat "$dir/VERSION" 2>/dev/null)" = "$version" ] && exit 0

cannot() {
	echo "workerd: $1" >&2
	echo "    → $2" >&2
	exit 3
}
command -v npm >/dev/null 2>&1 ||
	cannot "npm is missing; workerd $version comes as an npm package" "install nodejs and npm"

case "$(uname -s)-$(uname -m)" in
Linux-x86_64) platform=linux-64 ;;
Linux-aarch64) platform=linux-arm64 ;;
Darwin-x86_64) platform=darwin-64 ;;
Darwin-arm64) platform=darwin-arm64 ;;
*) cannot "there is no workerd for $(uname -s) on $(uname -m)" "run on Linux or macOS, amd64 or arm64" ;;
esac

echo "workerd: fetching workerd $version into $dir" >&2
mkdir -p .tools
tmp=$(mktemp -d .tools/workerd.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
if ! npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix "$tmp" "@cloudflare/workerd-$platform@$version" >"$tmp/log" 2>&1; then
	tail -3 "$tmp/log" >&2
	cannot "the package @cloudflare/workerd-$platform@$version could not be fetched" "get on line and run again"
fi
mkdir -p "$dir"
mv "$tmp/node_modules/@cloudflare/workerd-$platform/bin/workerd" "$dir/workerd"
echo "$version" >"$dir/VERSION"
