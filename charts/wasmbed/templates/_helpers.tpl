{{/* Names are fixed, not made of the release's name: keys and certificates are for them. Each is for one tenant (T) or gateway. */}}

{{/* Labels of an object. Takes root, component and, of a tenant's objects, tenant and gateway. */}}
{{- define "wasmbed.labels" -}}
{{ include "wasmbed.selector" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: wasmbed
{{- with .root.Chart.AppVersion }}
app.kubernetes.io/version: {{ . | quote }}
{{- end }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The labels by which pods are known; they never change. */}}
{{- define "wasmbed.selector" -}}
app.kubernetes.io/name: wasmbed
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- with .tenant }}
wasmbed.github.io/tenant: {{ . }}
{{- end }}
{{- with .gateway }}
wasmbed.github.io/gateway: {{ . }}
{{- end }}
{{- end }}

{{/* metadata but for the name and the namespace. Takes extraLabels and annotations besides, where an object has some of its own. */}}
{{- define "wasmbed.metadata" -}}
labels:
  {{- include "wasmbed.labels" . | nindent 2 }}
  {{- with .extraLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with mergeOverwrite (dict) .root.Values.commonAnnotations (.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* metadata of a pod. Takes settings besides. Without versions, so that an upgrade restarts only what it changes. */}}
{{- define "wasmbed.podMetadata" -}}
labels:
  {{- include "wasmbed.selector" . | nindent 2 }}
  {{- with .root.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .settings.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with mergeOverwrite (dict) .root.Values.commonAnnotations .settings.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* An image reference. Takes root and, where the component has an image of its own, image. */}}
{{- define "wasmbed.image" -}}
{{- $common := .root.Values.image -}}
{{- $image := .image | default $common -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default $common.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "wasmbed.pullPolicy" -}}
{{- (.image | default dict).pullPolicy | default .root.Values.image.pullPolicy -}}
{{- end }}

{{/* The part of a pod that all have. Takes root, settings, serviceAccount and the selector's labels. */}}
{{- define "wasmbed.pod" -}}
serviceAccountName: {{ .serviceAccount }}
automountServiceAccountToken: {{ .usesApi | default false }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ int .settings.terminationGracePeriodSeconds }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .settings.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- with .settings.topologySpreadConstraints }}
  {{- toYaml . | nindent 2 }}
  {{- else }}
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "wasmbed.selector" $ | nindent 8 }}
  {{- end }}
  {{- end }}
{{- end }}

{{- define "wasmbed.podSecurity" -}}
runAsNonRoot: true
{{- toYaml .root.Values.podSecurityContext | nindent 0 }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  {{- toYaml (.seccomp | default (dict "type" "RuntimeDefault")) | nindent 2 }}
{{- end }}

{{- define "wasmbed.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities:
  drop: [ALL]
{{- end }}

{{/* Environment of every container. HOME is where nothing is kept. */}}
{{- define "wasmbed.env" -}}
- name: RUST_LOG
  value: {{ .root.Values.logLevel | quote }}
- name: HOME
  value: /tmp
{{- with .settings.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Probes: /readyz tells the truth, /healthz only that the process is alive. */}}
{{- define "wasmbed.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: health}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: health}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end }}

{{/* A volume with the CA certificates of the streams: `ca.crt`, and for the builder `callers.crt`. */}}
{{- define "wasmbed.caVolume" -}}
- name: ca
  projected:
    defaultMode: 292 # 0444
    sources:
      {{- if eq .root.Values.tls.mode "helm" }}
      - configMap:
          name: wasmbed-streams-ca
          items:
            - {key: ca.crt, path: ca.crt}
            {{- if .callers }}
            - {key: callers.crt, path: callers.crt}
            {{- end }}
      {{- else }}
      {{- include "wasmbed.caSource" (dict "from" .root.Values.tls.ca "path" "ca.crt") | nindent 6 }}
      {{- if .callers }}
      {{- $own := .root.Values.tls.callersCa }}
      {{- $from := ternary $own .root.Values.tls.ca (or (ne $own.secret "") (ne $own.configMap "")) }}
      {{- include "wasmbed.caSource" (dict "from" $from "path" "callers.crt") | nindent 6 }}
      {{- end }}
      {{- end }}
{{- end }}

{{- define "wasmbed.caSource" -}}
{{- if .from.secret -}}
- secret:
    name: {{ .from.secret }}
    items: [{key: {{ .from.key }}, path: {{ .path }}}]
{{- else -}}
- configMap:
    name: {{ .from.configMap }}
    items: [{key: {{ .from.key }}, path: {{ .path }}}]
{{- end -}}
{{- end }}

{{/* The volume with a certificate and its key. Mode 0440: the group is the pod's own. */}}
{{- define "wasmbed.tlsVolume" -}}
- name: tls
  secret:
    secretName: {{ . }}
    defaultMode: 288 # 0440, which YAML 1.2 takes for text
    items:
      - {key: tls.crt, path: tls.crt}
      - {key: tls.key, path: tls.key}
{{- end }}

{{/* The registry of a tenant's large modules, as JSON. Takes root and fleet. */}}
{{- define "wasmbed.registry" -}}
{{- mergeOverwrite (deepCopy .root.Values.registry) (dig "registry" dict .fleet) | toJson -}}
{{- end }}

{{/* Arguments of who uses the registry. Takes registry, and secret: the one with the credentials. */}}
{{- define "wasmbed.registryArguments" -}}
{{- if .registry.repository -}}
- --registry={{ .registry.repository }}
- --registry-max-module={{ int .registry.maxModuleBytes }}
{{- if .secret }}
- --registry-credentials=/etc/wasmbed/registry/config.json
{{- end }}
{{- if .registry.ca.configMap }}
- --registry-ca=/etc/wasmbed/registry/ca.crt
{{- end }}
{{- end -}}
{{- end }}

{{- define "wasmbed.registryMount" -}}
{{- if and .registry.repository (or .secret .registry.ca.configMap) -}}
- {name: registry, mountPath: /etc/wasmbed/registry, readOnly: true}
{{- end -}}
{{- end }}

{{- define "wasmbed.registryVolume" -}}
{{- if and .registry.repository (or .secret .registry.ca.configMap) -}}
- name: registry
  projected:
    defaultMode: 288 # 0440
    sources:
      {{- if .secret }}
      - secret:
          name: {{ .secret }}
          items: [{key: {{ .registry.credentialsKey }}, path: config.json}]
      {{- end }}
      {{- with .registry.ca }}
      {{- if .configMap }}
      - configMap:
          name: {{ .configMap }}
          items: [{key: {{ .key }}, path: ca.crt}]
      {{- end }}
      {{- end }}
{{- end -}}
{{- end }}

{{/* A volume that outlives the pod, or not. Takes cache and claim, the name of the claim the chart makes. */}}
{{- define "wasmbed.cacheVolume" -}}
- name: cache
  {{- if eq .cache.type "persistentVolumeClaim" }}
  persistentVolumeClaim:
    claimName: {{ .cache.existingClaim | default .claim }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ .cache.size }}
  {{- end }}
{{- end }}

{{- define "wasmbed.claim" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .claim }}
  namespace: {{ .root.Release.Namespace }}
  {{- include "wasmbed.metadata" . | nindent 2 }}
spec:
  accessModes:
    {{- toYaml .cache.accessModes | nindent 4 }}
  {{- with .cache.storageClassName }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .cache.size }}
{{- end }}

{{- define "wasmbed.disruptions" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  {{- include "wasmbed.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "wasmbed.selector" . | nindent 6 }}
{{- end }}

{{- define "wasmbed.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .serviceAccount }}
  namespace: {{ .root.Release.Namespace }}
  {{- include "wasmbed.metadata" . | nindent 2 }}
automountServiceAccountToken: false
{{- end }}

{{/* A Role and its binding to a ServiceAccount of the release's namespace. Takes namespace, name, rules (text). */}}
{{- define "wasmbed.role" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  {{- include "wasmbed.metadata" . | nindent 2 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  {{- include "wasmbed.metadata" . | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .serviceAccount }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}

{{/* Reading one Secret of the release's namespace by name: a list or watch of that name alone is let through, too. */}}
{{- define "wasmbed.readSecrets" -}}
- apiGroups: [""]
  resources: [secrets]
  resourceNames:
    {{- toYaml . | nindent 4 }}
  verbs: [get, list, watch]
{{- end }}
