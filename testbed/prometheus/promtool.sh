#!/usr/bin/env bash
# Runs the real promtool (the version go.mod pins), which it builds first if need be.
#   promtool.sh ARGUMENT...
# In the environment: PROM_DIST (where the binary goes).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dist=$(realpath -m "${PROM_DIST:-$here/.dist}")

# As in up.sh: once for all, and without the service discoveries, which `go tool` would not leave out.
mkdir -p "$dist"
exec 9> "$dist/.promtool.lock"
flock 9
stamp=$(cat "$here/go.mod" "$here/go.sum" | sha256sum)
if [[ $(cat "$dist/.promtool.stamp" 2>/dev/null) != "$stamp" ]]; then
  (cd "$here" && go build -mod=readonly -tags remove_all_sd -ldflags '-s -w' -o "$dist/promtool" \
    github.com/prometheus/prometheus/cmd/promtool)
  echo "$stamp" > "$dist/.promtool.stamp"
fi
flock -u 9
exec "$dist/promtool" "$@" 9>&-
