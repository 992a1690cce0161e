{{- define "tipstaff.labels" -}}
app.kubernetes.io/name: tipstaff
{{- end }}
