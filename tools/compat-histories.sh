#!/bin/sh
# Puts what bench/histories reads at .tools/corpora/histories: releases of real
# projects as they were published, PROJECT/VERSION/ with all that their files
# import, so that every tool reads the same tree. Prints nothing when they are
# there.
set -eu
cd "$(dirname "$0")/.."
tools/compat-corpora.sh
root=$(pwd)
top=$root/.tools/corpora/histories
corpora=$root/.tools/corpora

cannot() {
	echo "compat-histories: $1" >&2
	echo "    → get on line, or set GOPROXY, and run again" >&2
	exit 3
}

# module MODULE@VERSION: the directory of a Go module
module() {
	from=$(go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
	[ -n "$from" ] || cannot "$1 could not be fetched"
	echo "$from"
}

# put FROM SUBDIR AT: the .proto files below FROM/SUBDIR, at $tree/AT
put() {
	mkdir -p "$tree/$3"
	(cd "$1/$2" && find . -name '*.proto' ! -path '*/vendor/*' ! -path '*/testdata/*' -type f | tar -cf - -T -) | tar -xf - -C "$tree/$3"
	chmod -R u+w "$tree"
}

# begin PROJECT VERSION: false where it is there; done puts it in its place
begin() {
	at=$top/$1/$2
	[ ! -d "$at" ] || return 1
	echo "compat-histories: fetching $1 $2" >&2
	tree=$at.new
	rm -rf "$tree"
	mkdir -p "$tree"
}
placed() { mv "$tree" "$at"; }

for v in 3.5.0 3.5.35 3.6.0 3.6.16 3.7.0 3.7.3; do
	begin etcd $v || continue
	put "$(module "go.etcd.io/etcd/api/v3@v$v")" . etcd/api
	put "$corpora/gogo" gogoproto gogoproto
	put "$corpora/gateway-v1" third_party/googleapis/google/api google/api
	put "$corpora/gateway-v2" protoc-gen-openapiv2/options protoc-gen-openapiv2/options
	for file in "$tree"/etcd/api/etcdserverpb/*.proto; do # two imports are relative to a second root there
		sed 's#^import "\(rpc\|etcdserver\)\.proto";#import "etcd/api/etcdserverpb/\1.proto";#' "$file" >"$file.sed"
		mv "$file.sed" "$file"
	done
	placed
done
for v in 1.8.0 1.9.0 1.10.0 1.11.1 1.12.0; do
	begin containerd $v || continue
	from=$(module "github.com/containerd/containerd/api@v$v")
	prefix=github.com/containerd/containerd/api
	! grep -rq '^import "types/' --include='*.proto' "$from" || prefix=.
	put "$from" . $prefix
	put "$corpora/google-proto-files-4.0.0" google/rpc google/rpc
	placed
done
for v in 0.17.3 0.20.6 0.23.1 0.25.3 0.27.16 0.30.14 0.34.13 0.37.2; do
	begin cri $v || continue
	put "$(module "k8s.io/cri-api@v$v")" pkg/apis pkg/apis
	put "$corpora/gogo" gogoproto github.com/gogo/protobuf/gogoproto
	placed
done
for v in 1.5.0 1.7.0 1.8.0 1.9.0 1.10.0 1.12.0 1.13.0; do
	begin csi $v || continue
	put "$(module "github.com/container-storage-interface/spec@v$v")" . .
	placed
done
for v in 0.34.35 0.37.18 0.38.26 1.0.1; do
	begin cometbft $v || continue
	put "$(module "github.com/cometbft/cometbft@v$v")" proto .
	put "$corpora/gogo" gogoproto gogoproto
	placed
done
for v in 0.30.14 0.34.2 0.37.2; do
	begin kubernetes $v || continue
	put "$(module "k8s.io/api@v$v")" . k8s.io/api
	put "$(module "k8s.io/apimachinery@v$v")" . k8s.io/apimachinery
	placed
done
for v in 3.0.0 4.0.0 5.0.0 6.0.1; do
	begin googleapis $v || continue
	tmp=$(mktemp -d "$top/fetch.XXXXXX")
	(cd "$tmp" && npm pack --silent "google-proto-files@$v" >/dev/null && tar -xzf ./*.tgz) || cannot "google-proto-files@$v could not be fetched"
	for part in google grafeas; do
		[ ! -d "$tmp/package/$part" ] || put "$tmp/package" $part $part
	done
	rm -rf "$tree/google/protobuf" "$tmp"
	placed
done
