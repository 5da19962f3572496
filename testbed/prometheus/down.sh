#!/usr/bin/env bash
# Stops the server that up.sh started; harmless when none runs.   down.sh DATA_DIR
set -euo pipefail
pidfile=${1:?DATA_DIR}/prometheus.pid
[[ -f $pidfile ]] || exit 0
pid=$(cat "$pidfile")
kill "$pid" 2>/dev/null || { rm -f "$pidfile"; exit 0; }
for _ in $(seq 60); do
  kill -0 "$pid" 2>/dev/null || { rm -f "$pidfile"; exit 0; }
  sleep 0.5
done
kill -9 "$pid"; rm -f "$pidfile"
