#!/bin/sh
# Puts what bench/compat reads and compares with at .tools/corpora and
# .tools/bin: two releases of google-proto-files from npm, etcd's API from the
# Go module proxy, and buf. Prints nothing when they are there.
set -eu
buf=v1.75.0
cd "$(dirname "$0")/.."
root=$(pwd)
dir=.tools/corpora

cannot() {
	echo "compat-corpora: $1" >&2
	echo "    → $2" >&2
	exit 3
}
for version in 4.0.0 6.0.1; do
	to=$dir/google-proto-files-$version
	[ -d "$to" ] && continue
	command -v npm >/dev/null 2>&1 || cannot "npm is missing; google-proto-files comes from there" "install nodejs and npm"
	echo "compat-corpora: fetching google-proto-files $version" >&2
	mkdir -p "$dir"
	tmp=$(mktemp -d "$dir/fetch.XXXXXX")
	(cd "$tmp" && npm pack --silent "google-proto-files@$version" >/dev/null && tar -xzf ./*.tgz) ||
		cannot "google-proto-files@$version could not be fetched" "get on line and run again"
	# The well-known types are every compiler's own; the rest of the package is JavaScript.
	mkdir "$tmp/files"
	for part in google grafeas; do
		[ ! -d "$tmp/package/$part" ] || mv "$tmp/package/$part" "$tmp/files/"
	done
	rm -rf "$tmp/files/google/protobuf"
	mv "$tmp/files" "$to"
	rm -rf "$tmp"
done

# module MODULE@VERSION SUBDIR NAME: the .proto files of a Go module
module() {
	at=$dir/$3
	[ -d "$at" ] && return
	echo "compat-corpora: fetching $1" >&2
	from=$(cd "$root" && go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
	[ -n "$from" ] || cannot "$1 could not be fetched" "get on line, or set GOPROXY"
	mkdir -p "$at.new"
	(cd "$from" && find . -name '*.proto' | tar -cf - -T -) | tar -xf - -C "$at.new"
	[ -z "$2" ] || { mkdir -p "$at.in/$2" && mv "$at.new"/* "$at.in/$2/" && rmdir "$at.new" && mv "$at.in" "$at.new"; }
	chmod -R u+w "$at.new"
	mv "$at.new" "$at"
}
mkdir -p "$dir"
for version in v3.5.0 v3.7.3; do
	to=$dir/etcd-$version
	[ -d "$to" ] && continue
	module "go.etcd.io/etcd/api/v3@$version" etcd/api "etcd-api-$version"
	module "github.com/gogo/protobuf@v1.3.2" "" gogo
	module "github.com/grpc-ecosystem/grpc-gateway@v1.16.0" "" gateway-v1
	module "github.com/grpc-ecosystem/grpc-gateway/v2@v2.27.1" "" gateway-v2
	mkdir "$to.new"
	cp -r "$dir/etcd-api-$version/etcd" "$to.new/"
	mkdir -p "$to.new/gogoproto" "$to.new/google/api" "$to.new/protoc-gen-openapiv2/options"
	cp "$dir/gogo/gogoproto/gogo.proto" "$to.new/gogoproto/"
	cp "$dir/gateway-v1/third_party/googleapis/google/api/annotations.proto" "$dir/gateway-v1/third_party/googleapis/google/api/http.proto" "$to.new/google/api/"
	cp "$dir/gateway-v2/protoc-gen-openapiv2/options/"*.proto "$to.new/protoc-gen-openapiv2/options/"
	# Two imports are relative to a second root there; buf's module has one root.
	for file in "$to.new"/etcd/api/etcdserverpb/*.proto; do
		sed 's#^import "\(rpc\|etcdserver\)\.proto";#import "etcd/api/etcdserverpb/\1.proto";#' "$file" >"$file.new"
		mv "$file.new" "$file"
	done
	mv "$to.new" "$to"
done

if [ ! -x .tools/bin/buf ] || [ "$(.tools/bin/buf --version)" != "${buf#v}" ]; then
	echo "compat-corpora: building buf $buf" >&2
	GOBIN="$root/.tools/bin" GOFLAGS='' go install "github.com/bufbuild/buf/cmd/buf@$buf" || cannot "buf $buf could not be built" "get on line, or set GOPROXY"
fi
