{{- define "braid.aggregator.fullname" -}}{{ include "braid.fullname" . }}-aggregator{{- end -}}

{{- define "braid.aggregator.serviceAccountName" -}}
{{- if .Values.aggregator.serviceAccount.create -}}
{{- default (include "braid.aggregator.fullname" .) .Values.aggregator.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.aggregator.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The aggregator's whole configuration, as YAML. */}}
{{- define "braid.aggregator.config" -}}
{{- $config := deepCopy .Values.aggregator.config -}}
{{- if and .Values.cluster.name (not (hasKey $config "cluster")) -}}{{- $_ := set $config "cluster" .Values.cluster.name -}}{{- end -}}
{{- if not (hasKey $config "data_dir") -}}{{- $_ := set $config "data_dir" "/var/lib/braid" -}}{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* Where agents of this release send: the HTTP receiver. */}}
{{- define "braid.aggregator.url" -}}
{{- $receiver := get (include "braid.ports" .Values.aggregator.config | fromJson) "otlp-http" -}}
{{- if not $receiver -}}{{- fail "aggregator.config.receivers.http is missing: agents send to it" -}}{{- end -}}
{{- printf "%s://%s.%s.svc:%v" $receiver.scheme (include "braid.aggregator.fullname" .) .Release.Namespace $receiver.port -}}
{{- end -}}

{{/* Where people and Grafana read, or "". */}}
{{- define "braid.aggregator.webURL" -}}
{{- with get (include "braid.ports" .Values.aggregator.config | fromJson) "http-web" -}}
{{- printf "%s://%s.%s.svc:%v" .scheme (include "braid.aggregator.fullname" $) $.Release.Namespace .port -}}
{{- end -}}
{{- end -}}

{{/* "true" if the configuration has the API server say who is who, or who may read what. */}}
{{- define "braid.aggregator.reviews" -}}
{{- $config := .Values.aggregator.config -}}
{{- $web := default dict (get $config "web") -}}
{{- $receivers := default dict (get $config "receivers") -}}
{{- $asks := get (default dict (get $web "access")) "kubernetes" -}}
{{- range list (get $web "listen") (get $receivers "http") (get $receivers "grpc") -}}
{{- if kindIs "map" . -}}
{{- $asks = or $asks (hasKey (default dict (get . "auth")) "kubernetes") -}}
{{- end -}}
{{- end -}}
{{- if $asks -}}true{{- end -}}
{{- end -}}

{{/* Rules of the aggregator's ClusterRole: those of system:auth-delegator, where they are needed. */}}
{{- define "braid.aggregator.rules" -}}
{{- if include "braid.aggregator.reviews" . }}
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
- apiGroups: [authorization.k8s.io]
  resources: [subjectaccessreviews]
  verbs: [create]
{{- end }}
{{- with .Values.aggregator.rbac.extraRules }}
{{ toYaml . }}
{{- end }}
{{- end -}}
