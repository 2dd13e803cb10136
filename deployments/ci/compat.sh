#!/bin/sh
# Runs skewgate compat check in CI: the same script behind the GitHub Action,
# the GitLab template and the pre-commit hook.
#
#   COMPAT_OLD     what runs now; default: the newest tag that the checkout descends from
#   COMPAT_NEW     what is to be rolled out; default: the working directory
#   COMPAT_SUBDIR  where the .proto files or skewgate.yaml are, for both; default: the top
#   COMPAT_FORMATS further --format values, separated by spaces
#   COMPAT_ARGS    further arguments, separated by spaces
#   SKEWGATE       the binary; default: skewgate
#
# Exit status: that of skewgate compat check (0 compatible, 1 findings, 2 input, 3 unknown).
set -eu

subdir=${COMPAT_SUBDIR:-}
old=${COMPAT_OLD:-}
if [ -z "$old" ]; then
	if ! tag=$(git describe --tags --abbrev=0 2>/dev/null); then
		echo "compat: this checkout descends from no tag, so there is nothing to compare with" >&2
		echo "    → fetch tags (GitHub: fetch-depth: 0; GitLab: GIT_DEPTH: 0), or set COMPAT_OLD" >&2
		exit 2
	fi
	old=".git#tag=$tag"
	[ -z "$subdir" ] || old="$old,subdir=$subdir"
fi
new=${COMPAT_NEW:-${subdir:-.}}

set -- compat check --old "$old" --new "$new" --format text
for format in ${COMPAT_FORMATS:-}; do
	set -- "$@" --format "$format"
done
# shellcheck disable=SC2086 # separated by spaces, as documented
exec "${SKEWGATE:-skewgate}" "$@" ${COMPAT_ARGS:-}
