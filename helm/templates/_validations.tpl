{{/* What a schema cannot say. Each failure tells what to set instead; all of them are told at once. */}}
{{- define "ambient-fhir.validations" -}}
{{- $problems := concat
  (include "ambient-fhir.validations.required" . | fromJsonArray)
  (include "ambient-fhir.validations.authentication" . | fromJsonArray)
  (include "ambient-fhir.validations.engine" . | fromJsonArray)
  (include "ambient-fhir.validations.secrets" . | fromJsonArray) }}
{{- if $problems }}
{{- printf "\n\nambient-fhir cannot be installed with these values:\n- %s\n" (join "\n- " $problems) | fail }}
{{- end }}
{{- end }}

{{- define "ambient-fhir.validations.required" -}}
{{- $problems := list }}
{{- if not .Values.existingSecret }}
{{- $problems = append $problems "existingSecret is missing: create a Secret with the keys AMBIENT_BROKER__URL, AMBIENT_DATABASE__URL and AMBIENT_API__CLIENTS (helm/README.md shows how) and set existingSecret to its name" }}
{{- end }}
{{- if not .Values.ehr.baseUrl }}
{{- $problems = append $problems "ehr.baseUrl is missing: set it to the FHIR R4 base URL of the EHR, such as https://ehr.example/fhir/R4; to try things out, set development=true and ehr.baseUrl=sandbox" }}
{{- end }}
{{- if and (eq .Values.ehr.baseUrl "sandbox") (not .Values.development) }}
{{- $problems = append $problems "ehr.baseUrl=sandbox would file real notes in a toy EHR: set ehr.baseUrl to the EHR's FHIR R4 base URL, or development=true to try things out without patients" }}
{{- end }}
{{- if not (or .Values.blobs.existingClaim .Values.development) }}
{{- $problems = append $problems "blobs.existingClaim is missing: api and worker pods share the audio, so create a ReadWriteMany PersistentVolumeClaim and set blobs.existingClaim to its name" }}
{{- end }}
{{- toJson $problems }}
{{- end }}

{{- define "ambient-fhir.validations.authentication" -}}
{{- $problems := list }}
{{- $auth := .Values.ehr.auth }}
{{- if and (eq $auth.method "basic") (not $auth.username) }}
{{- $problems = append $problems "ehr.auth.method=basic needs ehr.auth.username; the password is the key AMBIENT_EHR__AUTH__PASSWORD of existingSecret" }}
{{- end }}
{{- if and (eq $auth.method "client_secret") (not (and $auth.clientId $auth.tokenUrl)) }}
{{- $problems = append $problems "ehr.auth.method=client_secret needs ehr.auth.clientId and ehr.auth.tokenUrl; the secret is the key AMBIENT_EHR__AUTH__CLIENT_SECRET of existingSecret" }}
{{- end }}
{{- toJson $problems }}
{{- end }}

{{- define "ambient-fhir.validations.engine" -}}
{{- $problems := list }}
{{- $engine := .Values.engine }}
{{- if and $engine.clientId (not $engine.tokenUrl) }}
{{- $problems = append $problems "engine.clientId needs engine.tokenUrl, the token endpoint of the remote engine; the secret is the key AMBIENT_ENGINE__CLIENT_SECRET of existingSecret" }}
{{- end }}
{{- if and $engine.clientId (eq $engine.url "embedded") }}
{{- $problems = append $problems "engine.clientId is set, but engine.url is embedded: set engine.url to the /v2 URL of the remote engine, or leave engine.clientId empty" }}
{{- end }}
{{- if eq $engine.url "embedded" }}
{{- if eq 0 (int (add .Values.api.recognisers (ternary 0 .Values.worker.recognisers .Values.development))) }}
{{- $problems = append $problems "nothing transcribes: with engine.url=embedded set api.recognisers (or worker.recognisers) to at least 1" }}
{{- end }}
{{- range $role := ternary (list "api") (list "api" "worker") .Values.development }}
{{- $values := get $.Values $role }}
{{- $needed := add 300 (mul 350 $values.recognisers) }}
{{- if lt (int (include "ambient-fhir.mebibytes" $values.resources.limits.memory)) (int $needed) }}
{{- $problems = append $problems (printf "%s.resources.limits.memory=%s is too little for %s.recognisers=%d: set at least %dMi (300Mi for the service, 350Mi for each recogniser)" $role $values.resources.limits.memory $role (int $values.recognisers) (int $needed)) }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $problems }}
{{- end }}

{{/* The schema leaves only whole Mi or Gi. */}}
{{- define "ambient-fhir.mebibytes" -}}
{{- $number := regexFind "^[0-9]+" . | int }}
{{- ternary (mul 1024 $number) $number (hasSuffix "Gi" .) }}
{{- end }}

{{- define "ambient-fhir.validations.secrets" -}}
{{- $problems := list }}
{{- $secret := "^AMBIENT_(BROKER__URL|DATABASE__URL|API__CLIENTS|.*(SECRET|TOKEN|PASSWORD|API_KEY))$" }}
{{- range $name, $_ := .Values.extraSettings }}
{{- if regexMatch $secret $name }}
{{- $problems = append $problems (printf "extraSettings.%s would put a secret into a ConfigMap: make it a key of existingSecret, and if the chart does not read that key, name it in extraEnv with valueFrom.secretKeyRef" $name) }}
{{- end }}
{{- end }}
{{- range .Values.extraEnv }}
{{- if and (regexMatch $secret .name) .value }}
{{- $problems = append $problems (printf "extraEnv: %s would put a secret into the Deployment: use valueFrom.secretKeyRef instead of value" .name) }}
{{- end }}
{{- end }}
{{- toJson $problems }}
{{- end }}
