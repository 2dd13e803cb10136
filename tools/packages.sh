#!/bin/sh
# Makes sure that the servers and browsers the tests use are on the machine:
# redis-server, redis-sentinel, PostgreSQL, Node, Chromium, Python with pip. Debian's packages, or a
# message that says what to install. Starts no service.
set -eu
missing=""
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
command -v redis-sentinel >/dev/null 2>&1 || missing="$missing redis-sentinel"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null 2>&1 || missing="$missing postgresql"
command -v node >/dev/null 2>&1 || missing="$missing nodejs"
command -v npm >/dev/null 2>&1 || missing="$missing npm"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
python3 -m pip --version >/dev/null 2>&1 || missing="$missing python3 python3-pip"
[ -z "$missing" ] && exit 0

sudo=""
if [ "$(id -u)" != 0 ]; then sudo="sudo -n"; fi
if ! command -v apt-get >/dev/null 2>&1 || ! $sudo true 2>/dev/null; then
	echo "tests need these, and this user cannot install them:$missing" >&2
	echo "    → Debian: sudo apt-get install$missing; elsewhere install the same servers and put them on PATH" >&2
	exit 3
fi
echo "installing for the tests:$missing" >&2
# policy-rc.d keeps the packages from starting services of their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
	$sudo chmod 755 $policy
	trap '$sudo rm -f $policy' EXIT
fi
log=$(mktemp)
$sudo apt-get update -qq >"$log" 2>&1 || true
# shellcheck disable=SC2086
if ! $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >>"$log" 2>&1; then
	tail -5 "$log" >&2
	echo "    → install by hand:$missing" >&2
	exit 3
fi
rm -f "$log"
