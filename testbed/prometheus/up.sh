#!/usr/bin/env bash
# Builds the real Prometheus (the version go.mod pins) and starts it on 127.0.0.1; harmless when it is up already.
#   up.sh DATA_DIR [PORT]
# It takes remote-write 1.0 and 2.0, exemplars included, and samples up to two hours out of order; it scrapes nothing.
# In the environment: PROM_DIST (where the binary goes).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data=$(realpath -m "${1:?DATA_DIR}") port=${2:-19290}
dist=$(realpath -m "${PROM_DIST:-$here/.dist}")
pidfile=$data/prometheus.pid url=http://127.0.0.1:$port

alive() { [[ -f $pidfile ]] && kill -0 "$(cat "$pidfile")" 2>/dev/null; }
ready() { curl -sf -o /dev/null -m 5 "$url/-/ready"; }
if alive && ready; then echo "prometheus is up: $url"; exit 0; fi
alive && "$here/down.sh" "$data"
if curl -s -o /dev/null -m 5 "$url"; then
  echo "cannot start prometheus: something else answers on $url" >&2
  exit 1
fi

# Two processes that start at once build it once. Without the service discoveries the build takes half the time.
mkdir -p "$dist"
exec 9> "$dist/.lock"
flock 9
stamp=$(cat "$here/go.mod" "$here/go.sum" | sha256sum)
if [[ $(cat "$dist/.stamp" 2>/dev/null) != "$stamp" ]]; then
  (cd "$here" && go build -mod=readonly -tags remove_all_sd -ldflags '-s -w' -o "$dist/prometheus" \
    github.com/prometheus/prometheus/cmd/prometheus)
  echo "$stamp" > "$dist/.stamp"
fi
flock -u 9

mkdir -p "$data"
cat > "$data/prometheus.yml" <<'YML'
global: {scrape_interval: 15s}
storage:
  tsdb: {out_of_order_time_window: 2h}
YML
setsid "$dist/prometheus" --config.file="$data/prometheus.yml" --storage.tsdb.path="$data/tsdb" \
  --web.listen-address="127.0.0.1:$port" --web.enable-remote-write-receiver --web.enable-lifecycle \
  --enable-feature=exemplar-storage > "$data/prometheus.log" 2>&1 < /dev/null 9>&- &
echo $! > "$pidfile"
for _ in $(seq 240); do
  if alive && ready; then echo "prometheus is up: $url (pid $(cat "$pidfile"))"; exit 0; fi
  alive || break
  sleep 0.25
done
echo "prometheus did not start; $data/prometheus.log ends:" >&2
tail -40 "$data/prometheus.log" >&2
exit 1
