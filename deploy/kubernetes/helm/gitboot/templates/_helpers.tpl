{{- define "gitboot.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 57 | trimSuffix "-" -}}
{{- else if contains "gitboot" .Release.Name -}}
{{- .Release.Name | trunc 57 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-gitboot" .Release.Name | trunc 57 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "gitboot.selectorLabels" -}}
app.kubernetes.io/name: gitboot
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "gitboot.labels" -}}
{{ include "gitboot.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The settings with those of TLS, as a map from flags to values. */}}
{{- define "gitboot.settings" -}}
{{- $tls := dict -}}
{{- if .Values.tls.enabled -}}
{{- $tls = dict "tls-listen" "[::]:8443" "tls-cert-file" "/etc/gitboot/tls/tls.crt" "tls-key-file" "/etc/gitboot/tls/tls.key" -}}
{{- end -}}
{{- toYaml (merge (dict) .Values.settings $tls) -}}
{{- end -}}
