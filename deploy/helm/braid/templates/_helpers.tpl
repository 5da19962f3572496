{{- define "braid.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 52 characters, so that -aggregator-0 still fits a label. */}}
{{- define "braid.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (default .Chart.Name .Values.nameOverride) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "braid.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels of everything: (list root component) */}}
{{- define "braid.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: braid
{{ include "braid.selectorLabels" . }}
{{- end -}}

{{/* Labels that select the pods of a component: (list root component) */}}
{{- define "braid.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "braid.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* The image's reference: (list image defaults tag) */}}
{{- define "braid.image" -}}
{{- $image := index . 0 -}}
{{- $defaults := index . 1 -}}
{{- $registry := default $defaults.registry $image.registry -}}
{{- $name := ternary $image.repository (printf "%s/%s" $registry $image.repository) (empty $registry) -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default (index . 2) (default $defaults.tag $image.tag)) -}}
{{- end -}}
{{- end -}}

{{/* The port of a listener, which is "host:port" or a mapping with address; "" if there is no listener. */}}
{{- define "braid.port" -}}
{{- if . -}}
{{- $address := . -}}
{{- if kindIs "map" . -}}{{- $address = .address -}}{{- end -}}
{{- regexFind "[0-9]+$" (toString $address) -}}
{{- end -}}
{{- end -}}

{{/* http or https, by whether a listener has tls. */}}
{{- define "braid.scheme" -}}
{{- if and (kindIs "map" .) (get (default dict .) "tls") -}}https{{- else -}}http{{- end -}}
{{- end -}}

{{/* "true" if a listener lets only those in who show who they are. */}}
{{- define "braid.authenticates" -}}
{{- if kindIs "map" . -}}
{{- if or (get . "auth") (get (default dict (get . "tls")) "client_ca_file") -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* Ports of a component by name, from its configuration, as JSON: {name: {port, scheme, authenticates}} */}}
{{- define "braid.ports" -}}
{{- $ports := dict -}}
{{- range $name, $path := dict "otlp-http" (list "receivers" "http") "otlp-grpc" (list "receivers" "grpc") "http-web" (list "web" "listen") -}}
{{- $listener := get (default dict (get $ (index $path 0))) (index $path 1) -}}
{{- with include "braid.port" $listener -}}
{{- $_ := set $ports $name (dict "port" (atoi .) "scheme" (include "braid.scheme" $listener) "authenticates" (eq "true" (include "braid.authenticates" $listener))) -}}
{{- end -}}
{{- end -}}
{{- toJson $ports -}}
{{- end -}}

{{/* appProtocol of a port: (list name scheme) */}}
{{- define "braid.appProtocol" -}}
{{- if eq (index . 0) "otlp-grpc" -}}grpc{{- else -}}{{ index . 1 }}{{- end -}}
{{- end -}}

{{/* A probe of the web listener: (list ports path settings) */}}
{{- define "braid.probe" -}}
{{- $web := get (index . 0) "http-web" -}}
httpGet:
  path: {{ index . 1 }}
  port: http-web
  scheme: {{ $web.scheme | upper }}
{{ toYaml (index . 2) }}
{{- end -}}

{{/* Volumes and mounts of secretMounts. Their files are readable by the group. */}}
{{- define "braid.secretVolumes" -}}
{{- range $i, $mount := . }}
- name: secret-{{ $i }}
  secret:
    secretName: {{ $mount.secretName }}
    defaultMode: 0440
    {{- with get $mount "items" }}
    items:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}
{{- end -}}

{{- define "braid.secretVolumeMounts" -}}
{{- range $i, $mount := . }}
- name: secret-{{ $i }}
  mountPath: {{ $mount.mountPath }}
  readOnly: true
{{- end }}
{{- end -}}

{{/* What a peer is in a NetworkPolicy rule that lets the ports in: (list from ports). An empty list lets nobody in. */}}
{{- define "braid.ingressRule" -}}
{{- if and (index . 0) (index . 1) }}
- from:
    {{- toYaml (index . 0) | nindent 4 }}
  ports:
    {{- range index . 1 }}
    - port: {{ . }}
      protocol: TCP
    {{- end }}
{{- end }}
{{- end -}}

{{- define "braid.dnsRule" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}

{{/* The container that has a changed configuration read again: (list root ports) */}}
{{- define "braid.reloader" -}}
{{- $root := index . 0 -}}
{{- $web := get (index . 1) "http-web" -}}
{{- if not $web }}{{- fail "configReloader.enabled: web.listen is missing, which reloads are asked of" }}{{- end -}}
{{- if $web.authenticates }}{{- fail "configReloader.enabled: it has no token for the authentication of web.listen" }}{{- end -}}
{{- with $root.Values.configReloader }}
- name: config-reloader
  image: {{ include "braid.image" (list .image .image "") }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  args:
    - --watched-dir=/etc/braid
    - --reload-url={{ $web.scheme }}://127.0.0.1:{{ $web.port }}/-/reload
  resources:
    {{- toYaml .resources | nindent 4 }}
  securityContext:
    {{- toYaml .securityContext | nindent 4 }}
  volumeMounts:
    - name: config
      mountPath: /etc/braid
      readOnly: true
{{- end }}
{{- end -}}
