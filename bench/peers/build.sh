#!/usr/bin/env bash
# Builds the peers that a bench needs into bench/peers/.build, from the Go module proxy, unless they are there already.
#   build.sh logs|metrics|traces|all
# Each is a module of its own whose go.mod and go.sum pin everything; Prometheus' is the one that the tests use. The
# Collector takes 5 to 10 minutes on two cores the first time, Prometheus about 4.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dist=$here/.build
go=${GO:-go}

# build NAME MODULE_DIR PACKAGE [FLAG...]
build() {
  local name=$1 module=$2 package=$3 stamp
  shift 3
  stamp=$({ cat "$module/go.mod" "$module/go.sum"; cat "$module"/*.go 2>/dev/null || true; "$go" env GOVERSION; } | sha256sum)
  if [[ -x $dist/$name && $(cat "$dist/.$name.stamp" 2>/dev/null) == "$stamp" ]]; then return; fi
  echo "building $name (once; minutes)" >&2
  (cd "$module" && "$go" build -mod=readonly -trimpath -ldflags '-s -w' "$@" -o "$dist/$name" "$package")
  echo "$stamp" > "$dist/.$name.stamp"
}

otelcol() { build otelcol "$here/otelcol" .; }
spanmetrics() { build otelcol-spanmetrics "$here/otelcol-spanmetrics" .; }
# Without the service discoveries the build takes half the time.
prometheus() { build prometheus "$here/../../testbed/prometheus" github.com/prometheus/prometheus/cmd/prometheus -tags remove_all_sd; }

mkdir -p "$dist"
exec 9> "$dist/.lock" # two that start at once build once
flock 9
case ${1:?logs, metrics, traces or all} in
  logs) otelcol ;;
  metrics) otelcol; prometheus ;;
  traces) otelcol; spanmetrics ;;
  all) otelcol; spanmetrics; prometheus ;;
  *) echo "there is no bench '$1': logs, metrics, traces or all" >&2; exit 2 ;;
esac
