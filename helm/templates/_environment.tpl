{{/* One environment for every role, so that none of them misses a variable. Called with the root. */}}
{{- define "ambient-fhir.environment" -}}
{{- $secret := .Values.existingSecret }}
{{- range $name := list "AMBIENT_BROKER__URL" "AMBIENT_DATABASE__URL" }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ $name }}
      {{- if $.Values.development }}
      optional: true # else the embedded one of the ConfigMap
      {{- end }}
{{- end }}
{{- range $name := include "ambient-fhir.credentials" . | fromJsonArray }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ $name }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Names of the secrets that the chosen ways to authenticate need, as JSON. */}}
{{- define "ambient-fhir.credentials" -}}
{{- $names := list "AMBIENT_API__CLIENTS" }}
{{- if .Values.api.eventsSignature }}
{{- $names = append $names "AMBIENT_API__EVENTS_SECRET" }}
{{- end }}
{{- $ehr := dict "bearer" "AMBIENT_EHR__AUTH__TOKEN" "basic" "AMBIENT_EHR__AUTH__PASSWORD" "client_secret" "AMBIENT_EHR__AUTH__CLIENT_SECRET" }}
{{- with get $ehr .Values.ehr.auth.method }}
{{- $names = append $names . }}
{{- end }}
{{- if .Values.engine.clientId }}
{{- $names = append $names "AMBIENT_ENGINE__CLIENT_SECRET" }}
{{- end }}
{{- toJson $names }}
{{- end }}
