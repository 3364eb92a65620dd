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

{{/* The value of a setting as text: lists one item a line, numbers without an exponent. */}}
{{- define "gitboot.setting" -}}
{{- if kindIs "slice" . -}}
{{- range $index, $item := . }}{{ if $index }}{{ "\n" }}{{ end }}{{ include "gitboot.setting" $item }}{{ end -}}
{{- else if kindIs "float64" . -}}
{{- printf "%.0f" . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}
