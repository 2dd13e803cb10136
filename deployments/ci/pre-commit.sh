#!/bin/sh
# A pre-commit hook: what is staged against the commit that is the base.
# Only the working directory's files are read; nothing is checked out.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
git rev-parse -q --verify HEAD >/dev/null || exit 0 # the first commit has nothing before it
if [ -z "${COMPAT_OLD:-}" ]; then
	if [ -n "${COMPAT_SUBDIR:-}" ] && ! git cat-file -e "HEAD:$COMPAT_SUBDIR" 2>/dev/null; then
		exit 0 # nor has the one that adds the directory
	fi
	COMPAT_OLD=".git#commit=$(git rev-parse HEAD)"
	[ -z "${COMPAT_SUBDIR:-}" ] || COMPAT_OLD="$COMPAT_OLD,subdir=$COMPAT_SUBDIR"
	export COMPAT_OLD
fi
exec "$here/compat.sh"
