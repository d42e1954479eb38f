#!/usr/bin/env bash
# engines/build.sh NAME PACKAGE OUTPUT [LDFLAGS]
# Builds the engine pinned in engines/NAME/go.mod and shows how far it is: the
# first build takes minutes, and silence looks like a hang.
set -euo pipefail
name=$1 package=$2 output=$(realpath -m "$3") ldflags=${4:-}
cd "$(dirname "$0")/$name"
go=${GO:-go}

# No engine needs C. With it, what depends on net would be compiled once more than for
# the programs of ours that have none.
export CGO_ENABLED=0
# The same flags count what there is to build: others make other packages stale.
flags=(-trimpath -buildvcs=false -ldflags "-s -w $ldflags" '-gcflags=all=-dwarf=false')
echo "==> $name: looking what there is to build (the first time downloads its modules)"
total=$($go list "${flags[@]}" -deps -f '{{if .Stale}}{{.ImportPath}}{{end}}' "$package" | grep -c . || true)
start=$SECONDS
cores=$(getconf _NPROCESSORS_ONLN)
# How long it took last time is a matter of how much there is to build, so the record
# is of whole builds, and says how many packages those were. This machine's own record
# comes first; engines/durations has that of a machine somebody else measured.
record=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/strata/engines/durations
expect() { # prints what to expect, if there is a record
	local where file packages seconds on
	for where in "on this machine" "measured elsewhere"; do
		file=$record
		[ "$where" = "on this machine" ] || file=../durations
		read -r packages seconds on < <(awk -v n="$name" '$1 == n { print $2, $3, $4 }' "$file" 2>/dev/null | tail -n 1) || continue
		local guess=$((seconds * total * on / packages / cores))
		echo "==> $name: $total packages to build; $packages took $seconds s on $on cores ($where), so expect about $((guess / 60)) min $((guess % 60)) s"
		return
	done
	echo "==> $name: $total packages to build"
}
remember() { # keeps the record of a build that was whole or nearly so
	mkdir -p "$(dirname "$record")" 2>/dev/null || return 0
	{ grep -v "^$name " "$record" 2>/dev/null || true; echo "$name $total $1 $cores"; } > "$record.new" && mv "$record.new" "$record"
}
if [ "$total" -ge 20 ]; then expect; fi
progress() { # reads the names of built packages
	local done=0 last=-10 pkg
	while read -r pkg; do
		case $pkg in *' '*|*:*) echo "$pkg"; continue ;; esac # not a package: a message
		done=$((done + 1))
		if [ -t 1 ]; then
			printf '\r\033[K%s: %d of %d packages, %d s  %.40s' "$name" "$done" "$total" "$((SECONDS - start))" "$pkg"
		elif [ $((SECONDS - last)) -ge 15 ]; then
			last=$SECONDS
			echo "$name: $done of $total packages, $((SECONDS - start)) s"
		fi
	done
	if [ -t 1 ]; then printf '\r\033[K'; fi
}
mkdir -p "$(dirname "$output")"
# The binary appears under its name only when it is whole.
$go build -v "${flags[@]}" -o "$output.new" "$package" 2>&1 | progress
mv "$output.new" "$output"
took=$((SECONDS - start))
if [ "$total" -ge 150 ] && [ "$took" -gt 0 ]; then remember "$took" || true; fi
echo "==> $name: $output ($took s)"
