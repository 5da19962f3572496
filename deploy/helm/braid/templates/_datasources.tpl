{{/* Grafana's data sources, with the uids that the bundled dashboards use, as a YAML list. */}}
{{- define "braid.dataSources" -}}
{{- $url := include "braid.aggregator.webURL" . -}}
{{- if not $url }}{{- fail "aggregator.config.web.listen is missing: Grafana reads there" }}{{- end }}
- name: braid metrics
  uid: braid-metrics
  type: prometheus
  access: proxy
  url: {{ $url }}
  jsonData:
    httpMethod: POST
    timeInterval: 15s
    exemplarTraceIdDestinations:
      - {name: trace_id, datasourceUid: braid-traces, urlDisplayLabel: Trace}
- name: braid traces
  uid: braid-traces
  type: jaeger
  access: proxy
  url: {{ $url }}/jaeger
  jsonData:
    nodeGraph: {enabled: true}
    tracesToLogsV2:
      datasourceUid: braid-lines
      spanStartTimeShift: -5m
      spanEndTimeShift: 5m
      customQuery: true
      query: 'trace.id:"$${__trace.traceId}"'
{{- range .Values.aggregator.config.exporters }}
{{- with get . "elasticsearch" }}
- name: braid lines
  uid: braid-lines
  type: elasticsearch
  access: proxy
  url: {{ index .urls 0 }}
  jsonData:
    index: {{ default "logs-braid-default" (get . "logs_data_stream") }}
    timeField: "@timestamp"
    logMessageField: message
    logLevelField: log.level
    maxConcurrentShardRequests: 5
    dataLinks:
      - {field: '^trace\.id$', url: '$${__value.raw}', urlDisplayLabel: Trace, datasourceUid: braid-traces}
{{- break }}
{{- end }}
{{- end }}
{{- end -}}
