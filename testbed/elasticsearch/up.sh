#!/usr/bin/env bash
# Starts one real Elasticsearch node on 127.0.0.1 from the jars in Maven Central; harmless when it is up already.
#   up.sh DATA_DIR [HTTP_PORT]
# In the environment: ES_HEAP (512m), ES_TRANSPORT_PORT (HTTP_PORT+100), ES_DIST (the unpacked jars),
# ES_PASSWORD (turns security on: user elastic), ES_TLS_CERT and ES_TLS_KEY (PEM files: HTTPS, with ES_PASSWORD).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data=$(realpath -m "${1:?DATA_DIR}") port=${2:-19200}
dist=$(realpath -m "${ES_DIST:-$here/.dist}") heap=${ES_HEAP:-512m}
pidfile=$data/node.pid scheme=http auth=() tls=()
[[ -n ${ES_PASSWORD:-} ]] && auth=(-u "elastic:$ES_PASSWORD")
[[ -n ${ES_TLS_CERT:-} ]] && scheme=https tls=(-k)
url=$scheme://127.0.0.1:$port

alive() { [[ -f $pidfile ]] && kill -0 "$(cat "$pidfile")" 2>/dev/null; }
answers() { curl -sf -o /dev/null -m 5 "${auth[@]}" "${tls[@]}" "$url/_cluster/health"; }
if alive && answers; then echo "elasticsearch is up: $url"; exit 0; fi
alive && "$here/down.sh" "$data"
if curl -s -o /dev/null -m 5 "${tls[@]}" "$url"; then
  echo "cannot start elasticsearch: something else answers on $url" >&2
  exit 1
fi

# Two processes that start at once build the distribution once.
mkdir -p "$dist"
exec 9> "$dist/.lock"
flock 9

# The distribution: server jars in lib/, each plugin's jar in modules/NAME/ with the descriptor that it carries.
# The node runs on the class path, so the plugins are to be loaded as unnamed modules too.
stamp=$(cat "$here/pom.xml" "$here"/*.java | sha256sum)
if [[ $(cat "$dist/.stamp" 2>/dev/null) != "$stamp" ]]; then
  rm -rf "$dist"/{classes,gaps,lib,modules,saml,.stamp}; mkdir -p "$dist/classes"
  mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$dist/lib"
  for name in transport-netty4 x-pack-core x-pack-security; do
    mkdir -p "$dist/modules/$name"
    mv "$dist/lib/$name"-[0-9]*.jar "$dist/modules/$name/"
    unzip -p "$dist/modules/$name"/*.jar "META-INF/es-plugins/$name/plugin-descriptor.properties" |
      grep -v '^modulename=' > "$dist/modules/$name/plugin-descriptor.properties"
  done
  cp "$dist"/modules/transport-netty4/*.jar "$dist/modules/x-pack-security/"  # security's transports extend it
  javac -cp "$dist/lib/*" -d "$dist/classes" "$here/EsNode.java"
  mkdir -p "$dist/modules/testbed-gaps"
  javac -cp "$dist/lib/*" -d "$dist/gaps" "$here/GapsPlugin.java"
  jar cf "$dist/modules/testbed-gaps/gaps.jar" -C "$dist/gaps" .
  sed -e 's/^name=.*/name=testbed-gaps/' -e 's/^classname=.*/classname=GapsPlugin/' \
    "$dist/modules/x-pack-core/plugin-descriptor.properties" > "$dist/modules/testbed-gaps/plugin-descriptor.properties"
  # Security's SAML classes name these three of OpenSAML's, which is not in Maven Central; nothing calls them.
  for type in core.xml.XMLObject saml.saml2.core.RequestAbstractType saml.saml2.core.StatusResponseType; do
    file=$dist/saml/org/opensaml/${type//./\/}.java
    mkdir -p "${file%/*}"
    echo "package org.opensaml.${type%.*}; public interface ${type##*.} {}" > "$file"
  done
  find "$dist/saml" -name '*.java' -exec javac {} +
  jar cf "$dist/modules/x-pack-security/saml.jar" -C "$dist/saml" .
  echo "$stamp" > "$dist/.stamp"
fi
flock -u 9

# A home of its own below DATA_DIR.
home=$data/home
mkdir -p "$home/config" "$data/tmp"
ln -sfn "$dist/modules" "$home/modules"
cat > "$home/config/elasticsearch.yml" <<YML
cluster.name: testbed
node.name: node-1
path.data: $data/data
path.logs: $data/logs
network.host: 127.0.0.1
http.port: $port
transport.port: ${ES_TRANSPORT_PORT:-$((port + 100))}
discovery.type: single-node
cluster.routing.allocation.disk.threshold_enabled: false
cluster.max_shards_per_node: 20000
xpack.security.enabled: $([[ -n ${ES_PASSWORD:-} ]] && echo true || echo false)
YML
if [[ $scheme == https ]]; then
  cp "$ES_TLS_CERT" "$home/config/http.crt"; cp "$ES_TLS_KEY" "$home/config/http.key"
  printf 'xpack.security.http.ssl.%s\n' 'enabled: true' 'certificate: http.crt' 'key: http.key' \
    >> "$home/config/elasticsearch.yml"
fi
cat > "$home/config/log4j2.properties" <<'LOG'
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
LOG

ELASTIC_PASSWORD=${ES_PASSWORD:-} setsid java "-Xms$heap" "-Xmx$heap" -XX:+ExitOnOutOfMemoryError \
  -Djava.io.tmpdir="$data/tmp" -Dio.netty.noUnsafe=true -Dlog4j2.disable.jmx=true \
  -cp "$dist/classes:$dist/lib/*" EsNode "$home" > "$data/node.log" 2>&1 < /dev/null 9>&- &
echo $! > "$pidfile"
for _ in $(seq 240); do
  if answers; then echo "elasticsearch is up: $url (pid $(cat "$pidfile"))"; exit 0; fi
  alive || break
  sleep 0.5
done
echo "elasticsearch did not start; $data/node.log ends:" >&2
tail -40 "$data/node.log" >&2
exit 1
