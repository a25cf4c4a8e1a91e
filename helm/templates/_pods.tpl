{{/*
The Deployment of one role; called with a dict of `root`, `role` (api, worker or serve) and `values` (the role's own).
Each role answers probes on the ops port; `api` and `serve` also listen on the http port, where AMBIENT_API__CLIENTS guards.
*/}}
{{- define "ambient-fhir.deployment" -}}
{{- $http := ne .role "worker" }}
{{- $names := dict "root" .root "component" .role }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "ambient-fhir.fullname" .root }}-{{ .role }}
  labels:
    {{- include "ambient-fhir.labels" $names | nindent 4 }}
spec:
  replicas: {{ ternary 1 .values.replicas (eq .role "serve") }}
  revisionHistoryLimit: 5
  strategy:
    {{- if eq .role "serve" }}
    type: Recreate
    {{- else }}
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
    {{- end }}
  selector:
    matchLabels:
      {{- include "ambient-fhir.selectorLabels" $names | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "ambient-fhir.labels" $names | nindent 8 }}
      annotations:
        checksum/config: {{ include "ambient-fhir.settings" .root | sha256sum }}
        {{- with .values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "ambient-fhir.serviceAccountName" .root }}
      {{- include "ambient-fhir.podDefaults" .root | nindent 6 }}
      terminationGracePeriodSeconds: {{ .values.terminationGracePeriodSeconds }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "ambient-fhir.selectorLabels" $names | nindent 14 }}
      {{- with .values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if eq .role "serve" }}
      initContainers:
        - name: migrate
          {{- include "ambient-fhir.containerDefaults" .root | nindent 10 }}
          args: [migrate]
          envFrom:
            - configMapRef:
                name: {{ include "ambient-fhir.fullname" .root }}
          env:
            {{- include "ambient-fhir.environment" .root | trim | nindent 12 }}
          resources:
            {{- toYaml .root.Values.migration.resources | nindent 12 }}
          volumeMounts:
            {{- include "ambient-fhir.volumeMounts" .root | nindent 12 }}
      {{- end }}
      containers:
        - name: {{ .role }}
          {{- include "ambient-fhir.containerDefaults" .root | nindent 10 }}
          args: [{{ .role }}]
          envFrom:
            - configMapRef:
                name: {{ include "ambient-fhir.fullname" .root }}
          env:
            {{- if $http }}
            - name: AMBIENT_HTTP__HOST
              value: "0.0.0.0"
            - name: AMBIENT_HTTP__PORT
              value: "8000"
            {{- end }}
            - name: AMBIENT_OPS__HOST
              value: "0.0.0.0"
            - name: AMBIENT_OPS__PORT
              value: "9000"
            - name: AMBIENT_ENGINE__RECOGNISERS
              value: {{ .values.recognisers | quote }}
            {{- include "ambient-fhir.environment" .root | trim | nindent 12 }}
          ports:
            {{- if $http }}
            - name: http
              containerPort: 8000
            {{- end }}
            - name: ops
              containerPort: 9000
          {{- include "ambient-fhir.probes" . | nindent 10 }}
          {{- if $http }}
          lifecycle:
            preStop: # let the endpoints forget this pod before it stops accepting
              exec:
                command: [sleep, "5"]
          {{- end }}
          resources:
            {{- toYaml .values.resources | nindent 12 }}
          volumeMounts:
            {{- include "ambient-fhir.volumeMounts" .root | nindent 12 }}
      volumes:
        {{- include "ambient-fhir.volumes" .root | nindent 8 }}
{{- end }}

{{- define "ambient-fhir.podDefaults" -}}
automountServiceAccountToken: false
enableServiceLinks: false # a Service called `ambient` would add variables with our prefix
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- end }}

{{- define "ambient-fhir.containerDefaults" -}}
image: {{ include "ambient-fhir.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.containerSecurityContext | nindent 2 }}
{{- end }}

{{/* Liveness is the event loop and the consumer's watchdog: a full queue or a slow EHR never restarts a pod. */}}
{{- define "ambient-fhir.probes" -}}
startupProbe:
  httpGet:
    path: /livez
    port: ops
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet:
    path: /livez
    port: ops
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet:
    path: /readyz
    port: ops
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}

{{- define "ambient-fhir.volumeMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .Values.development }}
- name: data
  mountPath: /var/lib/ambient
{{- end }}
{{- if .Values.blobs.existingClaim }}
- name: blobs
  mountPath: /var/lib/ambient/blobs
{{- end }}
{{- end }}

{{- define "ambient-fhir.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ .Values.tmp.sizeLimit }}
{{- if .Values.development }}
- name: data
  emptyDir: {}
{{- end }}
{{- if .Values.blobs.existingClaim }}
- name: blobs
  persistentVolumeClaim:
    claimName: {{ .Values.blobs.existingClaim }}
{{- end }}
{{- end }}
