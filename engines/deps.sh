#!/usr/bin/env bash
# engines/deps.sh PROGRAM:PACKAGE...
# Installs the Debian packages of programs that are not here, and says what it does.
# Without root or apt-get it says what is missing and what is left out for it.
set -euo pipefail
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
here() { # a program, or a file where the name is a pattern of one
	case $1 in
	/*) compgen -G "$1" >/dev/null ;;
	*) command -v "$1" >/dev/null ;;
	esac
}
missing=()
for pair in "$@"; do
	here "${pair%:*}" || missing+=("${pair##*:}")
done
if [ ${#missing[@]} = 0 ]; then
	echo '==> dependencies: all are here'
	exit
fi
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "==> not installed: ${missing[*]}; root installs them by 'apt-get install ${missing[*]}'. Tests that need them are left out"
	exit
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run() { # shows what a command said only where it fails
	"$@" >"$log" 2>&1 || { cat "$log" >&2; return 1; }
}
# Lists that are missing or old name packages that are not there any more.
if ! run apt-get install -y --no-install-recommends --simulate "${missing[@]}" 2>/dev/null; then
	echo '==> apt-get update'
	run apt-get update
fi
echo "==> apt-get install ${missing[*]}"
if ! run apt-get install -y --no-install-recommends "${missing[@]}" 2>/dev/null; then
	echo '==> apt-get update'
	run apt-get update
	run apt-get install -y --no-install-recommends "${missing[@]}"
fi
