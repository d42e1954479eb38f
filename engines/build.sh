#!/usr/bin/env bash
# engines/build.sh NAME PACKAGE OUTPUT [LDFLAGS]
# Builds the engine pinned in engines/NAME/go.mod and shows how far it is: the
# first build takes minutes, and silence looks like a hang.
set -euo pipefail
name=$1 package=$2 output=$(realpath -m "$3") ldflags=${4:-}
cd "$(dirname "$0")/$name"
go=${GO:-go}

# The same flags count what there is to build: others make other packages stale.
flags=(-trimpath -buildvcs=false -ldflags "-s -w $ldflags" '-gcflags=all=-dwarf=false')
echo "==> $name: looking what there is to build (the first time downloads its modules)"
total=$($go list "${flags[@]}" -deps -f '{{if .Stale}}{{.ImportPath}}{{end}}' "$package" | grep -c . || true)
start=$SECONDS
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
echo "==> $name: $output ($((SECONDS - start)) s)"
