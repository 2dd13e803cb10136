#!/bin/sh
# Runs skewgate compat check in CI: the same script behind the GitHub Action,
# the GitLab template and the pre-commit hook.
#
#   COMPAT_OLD     what runs now; default: the newest tag that the checkout descends from
#   COMPAT_NEW     what is to be rolled out; default: the working directory
#   COMPAT_SUBDIR  where the .proto files or skewgate.yaml are, for both; default: the top
#   COMPAT_FORMATS further --format values, one a line; or on one line, separated by spaces
#   COMPAT_ARGS    further arguments, separated by spaces
#   SKEWGATE       the binary; default: skewgate
#
# It may be started anywhere in the repository: names of files are relative to
# its top. Exit status: that of skewgate compat check (0 compatible, 1 findings,
# 2 input, 3 unknown); 0 too where there is nothing before it to compare with.
set -eu

cannot() {
	echo "compat: $1" >&2
	echo "    → $2" >&2
	exit 2
}
command -v "${SKEWGATE:-skewgate}" >/dev/null 2>&1 ||
	cannot "${SKEWGATE:-skewgate} is not installed" "go install github.com/skewgate/skewgate/cmd/skewgate@latest, or set SKEWGATE"
# Git says itself what is wrong (no repository; one that belongs to another user).
top=$(git rev-parse --show-toplevel) || cannot "git cannot read this checkout" "check it out before this step; in a container: git config --global --add safe.directory '*'"
cd "$top"

subdir=${COMPAT_SUBDIR:-}
old=${COMPAT_OLD:-}
new=${COMPAT_NEW:-${subdir:-.}}
[ -n "${COMPAT_NEW:-}" ] || [ -d "$new" ] || cannot "there is no directory $subdir in $top" "set COMPAT_SUBDIR (subdir) to where the .proto files are"
if [ -z "$old" ]; then
	if ! tag=$(git describe --tags --abbrev=0 2>/dev/null); then
		if [ "$(git rev-parse --is-shallow-repository)" = true ]; then
			cannot "this checkout is shallow and has no tag, so there is nothing to compare with" "fetch all of it (GitHub: actions/checkout with fetch-depth: 0; GitLab: GIT_DEPTH: 0), or set COMPAT_OLD"
		fi
		cannot "this checkout descends from no tag, so there is nothing to compare with" "fetch tags (git fetch --tags; GitHub: fetch-depth: 0; GitLab: GIT_DEPTH: 0), or set COMPAT_OLD, for example to .git#branch=main"
	fi
	if [ -n "$subdir" ] && ! git cat-file -e "$tag:$subdir" 2>/dev/null; then
		echo "compat: $tag has no $subdir: nothing runs that could break"
		exit 0
	fi
	old=".git#tag=$tag"
	[ -z "$subdir" ] || old="$old,subdir=$subdir"
fi

set -- compat check --old "$old" --new "$new" --format text
newline='
'
case ${COMPAT_FORMATS:-} in *"$newline"*) IFS=$newline ;; esac
set -f
for format in ${COMPAT_FORMATS:-}; do
	set -- "$@" --format "$format"
done
unset IFS
# shellcheck disable=SC2086 # separated by spaces, as documented
exec "${SKEWGATE:-skewgate}" "$@" ${COMPAT_ARGS:-}
