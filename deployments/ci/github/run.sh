#!/bin/sh
# What the action runs: the check, its annotations and the summary of the job.
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
COMPAT_FORMATS="github=$dir/annotations
markdown=$dir/summary
sarif=${SARIF:-skewgate.sarif}"
export COMPAT_FORMATS
"$(dirname "$0")/../compat.sh"
status=$?
[ ! -f "$dir/annotations" ] || cat "$dir/annotations"
if [ -f "$dir/summary" ] && [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
	cat "$dir/summary" >>"$GITHUB_STEP_SUMMARY"
fi
exit $status
