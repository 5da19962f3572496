{{- define "braid.agent.fullname" -}}{{ include "braid.fullname" . }}-agent{{- end -}}

{{- define "braid.agent.serviceAccountName" -}}
{{- if .Values.agent.serviceAccount.create -}}
{{- default (include "braid.agent.fullname" .) .Values.agent.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.agent.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The agent's whole configuration, as YAML. */}}
{{- define "braid.agent.config" -}}
{{- $config := deepCopy .Values.agent.config -}}
{{- if and .Values.cluster.name (not (hasKey $config "cluster")) -}}{{- $_ := set $config "cluster" .Values.cluster.name -}}{{- end -}}
{{- if not (hasKey $config "node") -}}{{- $_ := set $config "node" "${NODE_NAME}" -}}{{- end -}}
{{- if ne (default .Values.agent.dataDir.path (get $config "data_dir")) .Values.agent.dataDir.path -}}{{- fail "agent.config.data_dir: agent.dataDir.path says where the data directory is" -}}{{- end -}}
{{- $_ := set $config "data_dir" .Values.agent.dataDir.path -}}
{{- $upstream := default dict (get $config "aggregator") -}}
{{- if not (hasKey $upstream "url") -}}
{{- if not .Values.aggregator.enabled -}}{{- fail "agent.config.aggregator.url is missing: with aggregator.enabled=false it says where agents send" -}}{{- end -}}
{{- $_ := set $upstream "url" (include "braid.aggregator.url" .) -}}
{{- end -}}
{{- if and .Values.agent.projectedToken.enabled (not (hasKey $upstream "bearer_token_file")) -}}
{{- $_ := set $upstream "bearer_token_file" "/var/run/secrets/braid/token" -}}
{{- end -}}
{{- $_ := set $config "aggregator" $upstream -}}
{{- with include "braid.agent.presets" . | fromYamlArray -}}
{{- $_ := set $config "scrape_configs" (concat . (default list (get $config "scrape_configs"))) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* scrape_configs of the enabled presets, as a YAML list. */}}
{{- define "braid.agent.presets" -}}
{{- with .Values.agent.presets.kubelet }}
{{- if .enabled }}
{{- range .paths }}
- job_name: kubelet{{ . }}
  scheme: https
  metrics_path: {{ . }}
  authorization: {credentials_file: /var/run/secrets/kubernetes.io/serviceaccount/token}
  tls_config:
    ca_file: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
    insecure_skip_verify: {{ $.Values.agent.presets.kubelet.insecureSkipVerify }}
  static_configs:
    - targets: ["${NODE_IP}"]
      labels: {node: "${NODE_NAME}"}
  relabel_configs:
    # An IPv6 address takes brackets before its port.
    - {source_labels: [__address__], regex: '(.*:.*)', target_label: __address__, replacement: '[$1]:10250'}
    - {source_labels: [__address__], regex: '([^:]+)', target_label: __address__, replacement: '$1:10250'}
    - {target_label: job, replacement: kubelet}
    - {source_labels: [__metrics_path__], target_label: metrics_path}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.agent.presets.annotatedPods.enabled }}
- job_name: annotated-pods
  kubernetes_sd_configs:
    - role: pod
      selectors: [{role: pod, field: "spec.nodeName=${NODE_NAME}"}]
  relabel_configs:
    - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], regex: "true", action: keep}
    - {source_labels: [__meta_kubernetes_pod_phase], regex: "Pending|Succeeded|Failed", action: drop}
    - {source_labels: [__meta_kubernetes_pod_container_init], regex: "true", action: drop}
    - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scheme], regex: "(https?)", target_label: __scheme__}
    - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_path], regex: "(.+)", target_label: __metrics_path__}
    # A port in the annotation makes all targets of the pod one and the same; without it each declared port is one.
    - source_labels: [__meta_kubernetes_pod_ip, __meta_kubernetes_pod_annotation_prometheus_io_port]
      regex: '(.*:.*);(\d+)'
      target_label: __address__
      replacement: '[$1]:$2'
    - source_labels: [__meta_kubernetes_pod_ip, __meta_kubernetes_pod_annotation_prometheus_io_port]
      regex: '([^:]+);(\d+)'
      target_label: __address__
      replacement: '$1:$2'
    - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
    - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
    - source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_port, __meta_kubernetes_pod_container_name]
      regex: ';(.+)'
      target_label: container
      replacement: '$1'
    - {source_labels: [__meta_kubernetes_pod_node_name], target_label: node}
    - {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name], regex: "(.+)", target_label: service}
{{- end }}
{{- end -}}

{{/* "true" if targets are discovered at the API server, which takes the larger image and its rights. */}}
{{- define "braid.agent.discovers" -}}
{{- if contains "kubernetes_sd_configs" (include "braid.agent.config" .) -}}true{{- end -}}
{{- end -}}

{{/* "true" if the agent needs its service account's token. */}}
{{- define "braid.agent.token" -}}
{{- if or .Values.agent.presets.kubelet.enabled (include "braid.agent.discovers" .) .Values.agent.rbac.extraRules -}}true{{- end -}}
{{- end -}}

{{- define "braid.agent.image" -}}
{{- if include "braid.agent.discovers" . -}}
{{- include "braid.image" (list .Values.image .Values.image .Chart.AppVersion) -}}
{{- else -}}
{{- include "braid.image" (list .Values.agent.image .Values.image .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* Rules of the agents' ClusterRole: as few as the configuration needs. */}}
{{- define "braid.agent.rules" -}}
{{- if .Values.agent.presets.kubelet.enabled }}
- apiGroups: [""]
  resources: [nodes/metrics]
  verbs: [get]
{{- end }}
{{- if include "braid.agent.discovers" . }}
- apiGroups: [""]
  resources: [nodes, pods]
  verbs: [get, list, watch]
{{- end }}
{{- with .Values.agent.rbac.extraRules }}
{{ toYaml . }}
{{- end }}
{{- end -}}
