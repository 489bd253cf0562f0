{{- define "spooky.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains "spooky" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-spooky" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "spooky.selector" -}}
app.kubernetes.io/name: {{ default "spooky" .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "spooky.labels" -}}
{{ include "spooky.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "spooky.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end }}
{{- end -}}

{{/* The configuration of the pod with a number: what the values say, and over it what belongs to the place. */}}
{{- define "spooky.config" -}}
{{- $performance := merge (dict "shutdown_delay_ms" .root.Values.shutdown.delayMs "shutdown_drain_timeout_ms" .root.Values.shutdown.drainMs) (default dict .root.Values.config.performance) -}}
{{- $tls := dict "cert" "/etc/spooky/tls/tls.crt" "key" "/etc/spooky/tls/tls.key" -}}
{{- $more := list -}}
{{- range $index, $_ := .root.Values.tls.moreSecretNames -}}
{{- $more = append $more (dict "cert" (printf "/etc/spooky/tls-%d/tls.crt" $index) "key" (printf "/etc/spooky/tls-%d/tls.key" $index)) -}}
{{- end -}}
{{- if $more }}{{ $_ := set $tls "certificates" $more }}{{ end -}}
{{- $address := .root.Values.address -}}
{{- $own := dict "version" 1
  "listen" (dict "protocol" "http3" "address" $address "port" 8443 "tls" $tls)
  "control" (dict "socket" "off" "watch" "all")
  "observability" (dict "health" (dict "address" $address "port" 8080) "metrics" (dict "address" $address "port" 9090))
  "performance" $performance -}}
{{- if .root.Values.cluster.enabled -}}
{{- $_ := set $own "cluster" (dict "key_file" "/etc/spooky/cluster/cluster.key" "node_id" (printf "%02x" (add1 .number))) -}}
{{- end -}}
{{- toYaml (mergeOverwrite (dict "log" (dict "level" "info" "format" "json")) (deepCopy .root.Values.config) $own) -}}
{{- end -}}
