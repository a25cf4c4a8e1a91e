{{/* The plain settings of every role; empty values are left out, so that the service's own default holds. */}}
{{- define "ambient-fhir.settings" -}}
{{- $v := .Values }}
{{- $settings := dict
  "AMBIENT_HTTP__PUBLIC_URL" $v.api.publicUrl
  "AMBIENT_BROKER__PREFETCH" $v.broker.prefetch
  "AMBIENT_BROKER__DECLARE" $v.broker.declare
  "AMBIENT_WORKER__CONCURRENCY" $v.worker.concurrency
  "AMBIENT_WORKER__LEASE" $v.worker.lease
  "AMBIENT_BLOBS__URL" "file:/var/lib/ambient/blobs"
  "AMBIENT_ENGINE__URL" $v.engine.url
  "AMBIENT_ENGINE__TENANT" $v.engine.tenant
  "AMBIENT_ENGINE__CLIENT_ID" $v.engine.clientId
  "AMBIENT_ENGINE__TOKEN_URL" $v.engine.tokenUrl
  "AMBIENT_ENGINE__SPEECH_MODEL" $v.engine.speechModel
  "AMBIENT_EHR__BASE_URL" $v.ehr.baseUrl
  "AMBIENT_EHR__PROFILE" $v.ehr.profile
  "AMBIENT_EHR__AUTHOR" $v.ehr.author
  "AMBIENT_EHR__AUDIO_HOSTS" (join "," $v.ehr.audioHosts)
  "AMBIENT_EHR__AUTH__METHOD" $v.ehr.auth.method
  "AMBIENT_EHR__AUTH__USERNAME" $v.ehr.auth.username
  "AMBIENT_EHR__AUTH__CLIENT_ID" $v.ehr.auth.clientId
  "AMBIENT_EHR__AUTH__TOKEN_URL" $v.ehr.auth.tokenUrl
  "AMBIENT_EHR__AUTH__SCOPE" $v.ehr.auth.scope
  "AMBIENT_NOTES__TEMPLATES" (join "," $v.notes.templates)
  "AMBIENT_NOTES__TRIGGER" $v.notes.trigger
  "AMBIENT_NOTES__MAX_WAIT" $v.notes.maxWait
  "AMBIENT_NOTES__AFTER_MAX_WAIT" $v.notes.afterMaxWait
  "AMBIENT_NOTES__LANGUAGE" $v.notes.language
  "AMBIENT_LOG__FORMAT" "json"
  "AMBIENT_LOG__LEVEL" $v.log.level
}}
{{- if $v.development }}
{{- $_ := set $settings "AMBIENT_BROKER__URL" "memory://" }}
{{- $_ := set $settings "AMBIENT_DATABASE__URL" "sqlite+aiosqlite:////var/lib/ambient/ambient.db" }}
{{- $_ := set $settings "AMBIENT_EHR__ALLOW_SANDBOX" "true" }}
{{- end }}
{{- range $name, $value := merge (dict) $v.extraSettings $settings }}
{{- if ne (toString $value) "" }}
{{ $name }}: {{ toString $value | quote }}
{{- end }}
{{- end }}
{{- end }}
