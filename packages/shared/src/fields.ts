/**
 * Every field of a Job manifest, and what becomes of it. Warnings, refusals, suggestions for
 * misspelt fields and docs/semantics.md come from this table; a test holds it against the schemas.
 *
 * - honoured: it does what it does in Kubernetes.
 * - inert: kept and shown, without effect, and a warning says so. Only what can't change the
 *   outcome of the program may be inert.
 * - refused: the Job is not accepted, because running it without would be silently wrong.
 */

import { notYet, SUPPORTED, type Feature } from './supported.ts';

/** What becomes of a field. */
export type FieldSupport = 'honoured' | 'inert' | 'refused';

/** One row of the table. */
export interface FieldRule {
  /** Path, with `[*]` for any item of a list. What is below it shares the row unless it has its own. */
  readonly path: string;
  readonly support: FieldSupport;
  /** One line: what it does, or why it does nothing or is refused. */
  readonly why: string;
  /** Values that say no more than leaving the field out: defaults. They are never warned of. */
  readonly unset: readonly unknown[];
  /** What holds instead under `runtimeClassName: handler`. */
  readonly handler?: { readonly support: FieldSupport; readonly why: string };
  /** Of an honoured map: keys that do nothing, and why. */
  readonly inertKeys?: Readonly<Record<string, string>>;
}

type Row = Omit<FieldRule, 'path'>;

function honoured(why: string): Row {
  return { support: 'honoured', why, unset: [] };
}

function inert(why: string, ...unset: readonly unknown[]): Row {
  return { support: 'inert', why, unset };
}

function refused(why: string, ...unset: readonly unknown[]): Row {
  return { support: 'refused', why, unset };
}

/** Refused until a later version has it. */
function later(why: string, ...unset: readonly unknown[]): Row {
  return refused(notYet(why), ...unset);
}

/** Honoured as soon as the feature is turned on. */
function feature(name: Feature, why: string, ...unset: readonly unknown[]): Row {
  return SUPPORTED[name] ? honoured(why) : later(why, ...unset);
}

function under(prefix: string, rows: Readonly<Record<string, Row>>): FieldRule[] {
  return Object.entries(rows).map(([name, row]) => ({
    path: name === '' ? prefix : `${prefix}.${name}`,
    ...row,
  }));
}

const BY_STORE = 'set by Drover; what a new Job brings is replaced';
const NO_ISOLATION = 'the process runtime runs programs as the user of the worker, not isolated';
const AS_WORKER_USER = 'the process runtime runs programs as the user of the worker';
const OWN_NETWORK = 'a program uses the network of its worker as it is';
const NO_STORAGE = 'workers mount no storage: let the worker have it, and use its path';
const HANDLER_USER = 'a handler runs in its worker, as the user of that';
const MESSAGE_OF_HANDLER = 'the message of a handler is what it throws';
const NO_DNS = 'pods have no names in DNS here';
const NO_ADDRESS = 'a pod has no address of its own; use exec';

/** Of the memory of a program of its own. */
function limits(why: string): Row {
  return {
    ...honoured(why),
    inertKeys: { cpu: 'a program may take all the CPU that is free' },
    handler: { support: 'inert', why: 'handlers share the memory of their worker' },
  };
}

/** Of who runs a program: a handler is no program of its own. */
function user(why: string): Row {
  return { ...honoured(why), handler: { support: 'refused', why: HANDLER_USER } };
}

function nonRoot(why: string): Row {
  return { ...honoured(why), unset: [false], handler: { support: 'inert', why: HANDLER_USER } };
}

const TOP: readonly FieldRule[] = [
  { path: 'apiVersion', ...honoured('batch/v1; may be left out') },
  { path: 'kind', ...honoured('Job; may be left out') },
  { path: 'status', ...inert('a new Job begins without a status', {}) },
];

const METADATA = under('metadata', {
  name: honoured('unique in the namespace'),
  generateName: honoured('completed with five random characters'),
  namespace: honoured('`default` when none is given'),
  uid: honoured('given with the call, so that a create can be sent again, or random'),
  resourceVersion: honoured('compared on update'),
  generation: honoured(BY_STORE),
  creationTimestamp: honoured(BY_STORE),
  deletionTimestamp: honoured(BY_STORE),
  deletionGracePeriodSeconds: honoured(BY_STORE),
  labels: honoured('to select by; when empty, read back as those of the template'),
  annotations: honoured('free text for programs'),
  'ownerReferences[*]': honoured('the Job is deleted when its last owner is gone'),
  'ownerReferences[*].apiVersion': honoured('kept and shown'),
  'ownerReferences[*].kind': honoured('kept and shown'),
  'ownerReferences[*].name': honoured('kept and shown'),
  'ownerReferences[*].uid': honoured('kept and shown'),
  'ownerReferences[*].controller': honoured('kept and shown'),
  'ownerReferences[*].blockOwnerDeletion': honoured('a Foreground deletion of the owner waits'),
  finalizers: honoured('a deleted Job stays until they are taken away'),
  // kubectl sends these with every object it read; a warning each time would help nobody.
  managedFields: honoured('kept by the API server from the first server-side apply on'),
  selfLink: honoured('kept as it is; without meaning in Kubernetes too'),
});

const SPEC = under('spec', {
  '': honoured('the Job'),
  parallelism: honoured('most pods at once; may change while the Job runs'),
  completions: honoured('successes wanted'),
  completionMode: honoured('NonIndexed or Indexed'),
  backoffLimit: honoured('failures before the Job fails; lost workers do not count'),
  backoffLimitPerIndex: feature('backoffLimitPerIndex', 'a limit of retries for each index'),
  maxFailedIndexes: feature('backoffLimitPerIndex', 'how many indexes may fail'),
  activeDeadlineSeconds: honoured('longest time the Job may be active'),
  ttlSecondsAfterFinished: honoured('deletes the Job, in Foreground, some time after it finished'),
  suspend: honoured('no pod runs while it is true'),
  selector: honoured('generated'),
  'selector.matchLabels': honoured('generated'),
  'selector.matchExpressions': honoured('generated'),
  'selector.matchExpressions[*].key': honoured('generated'),
  'selector.matchExpressions[*].operator': honoured('generated'),
  'selector.matchExpressions[*].values': honoured('generated'),
  manualSelector: honoured(
    "the selector is the user's; pods get no labels but those of the template",
  ),
  podFailurePolicy: feature('podFailurePolicy', 'rules for failed pods'),
  'podFailurePolicy.rules': honoured('first match decides'),
  'podFailurePolicy.rules[*].action': honoured('what to do'),
  'podFailurePolicy.rules[*].onExitCodes': honoured('match by exit code'),
  'podFailurePolicy.rules[*].onExitCodes.containerName': honoured('of which container'),
  'podFailurePolicy.rules[*].onExitCodes.operator': honoured('In or NotIn'),
  'podFailurePolicy.rules[*].onExitCodes.values': honoured('exit codes'),
  'podFailurePolicy.rules[*].onPodConditions': honoured('match by condition'),
  'podFailurePolicy.rules[*].onPodConditions[*].type': honoured('type of the condition'),
  'podFailurePolicy.rules[*].onPodConditions[*].status': honoured('status of the condition'),
  podReplacementPolicy: feature(
    'podReplacementPolicyFailed',
    'replacing a pod only once the old one has ended',
    'TerminatingOrFailed',
  ),
  successPolicy: feature('successPolicy', 'success before all indexes succeeded'),
  'successPolicy.rules': honoured('first match decides'),
  'successPolicy.rules[*].succeededIndexes': honoured('indexes looked at'),
  'successPolicy.rules[*].succeededCount': honoured('how many of them'),
  managedBy: feature(
    'managedBy',
    'leaving a Job to another controller',
    'kubernetes.io/job-controller',
  ),
  template: honoured('what each pod runs'),
});

const TEMPLATE_METADATA = under('spec.template.metadata', {
  '': honoured('labels and annotations of each pod'),
  labels: honoured('of each pod'),
  annotations: honoured('of each pod'),
  name: inert('pods are named after the Job'),
  generateName: inert('pods are named after the Job'),
  namespace: inert('pods live in the namespace of the Job'),
  creationTimestamp: inert('each pod has its own'),
  finalizers: refused(
    "the finalizers of a Job's pods can not be changed, so nobody could take one away",
  ),
});

const POD = under('spec.template.spec', {
  '': honoured('what each pod runs'),
  containers: honoured('all run at once; the pod ends when all have ended'),
  restartPolicy: honoured('Never or OnFailure'),
  terminationGracePeriodSeconds: honoured('from SIGTERM to SIGKILL'),
  nodeSelector: honoured('only the key drover.dev/pool, which names a pool of workers'),
  runtimeClassName: honoured('process (default) or handler'),
  hostname: honoured('in the environment as HOSTNAME; an Indexed Job has its own'),
  activeDeadlineSeconds: honoured(
    'longest time a pod may be active; then it is stopped and is Failed, reason DeadlineExceeded',
  ),
  initContainers: {
    ...honoured('run before the containers, in order; each must succeed'),
    handler: { support: 'refused', why: 'a handler is the only container of its pod' },
  },
  ephemeralContainers: refused('ephemeral containers not allowed in pod template'),
  volumes: {
    ...honoured('directories and files of the pod'),
    handler: { support: 'refused', why: 'a handler shares the files of its worker' },
  },
  'volumes[*].name': honoured('its name, also in DROVER_VOLUME_<NAME>'),
  'volumes[*].emptyDir': honoured('a directory, removed at the end of the pod'),
  'volumes[*].emptyDir.medium': honoured('on disk, or Memory'),
  'volumes[*].emptyDir.sizeLimit': honoured('looked at every 10 s; a pod above it is Evicted'),
  'volumes[*].configMap': honoured('keys as files'),
  'volumes[*].configMap.name': honoured('its name'),
  'volumes[*].configMap.items': honoured('only some keys, and where'),
  'volumes[*].configMap.items[*].key': honoured('which key'),
  'volumes[*].configMap.items[*].path': honoured('where its file is'),
  'volumes[*].configMap.items[*].mode': honoured('who may do what with it'),
  'volumes[*].configMap.optional': honoured('it may be missing'),
  'volumes[*].configMap.defaultMode': honoured('who may do what with the files'),
  'volumes[*].secret': honoured('keys as files, in memory'),
  'volumes[*].secret.secretName': honoured('its name'),
  'volumes[*].secret.items': honoured('only some keys, and where'),
  'volumes[*].secret.items[*].key': honoured('which key'),
  'volumes[*].secret.items[*].path': honoured('where its file is'),
  'volumes[*].secret.items[*].mode': honoured('who may do what with it'),
  'volumes[*].secret.optional': honoured('it may be missing'),
  'volumes[*].secret.defaultMode': honoured('who may do what with the files'),
  'volumes[*].downwardAPI': honoured('fields of the pod as files'),
  'volumes[*].downwardAPI.items': honoured('its files'),
  'volumes[*].downwardAPI.items[*].path': honoured('where a file is'),
  'volumes[*].downwardAPI.items[*].mode': honoured('who may do what with it'),
  'volumes[*].downwardAPI.items[*].fieldRef': honoured('a field of the pod'),
  'volumes[*].downwardAPI.items[*].fieldRef.apiVersion': honoured('v1'),
  'volumes[*].downwardAPI.items[*].fieldRef.fieldPath': honoured('which field'),
  'volumes[*].downwardAPI.items[*].resourceFieldRef': honoured('a resource of a container'),
  'volumes[*].downwardAPI.items[*].resourceFieldRef.containerName': honoured('of which container'),
  'volumes[*].downwardAPI.items[*].resourceFieldRef.resource': honoured(
    'which resource; a limit of cpu or memory that is not set is what the worker has',
  ),
  'volumes[*].downwardAPI.items[*].resourceFieldRef.divisor': honoured('in which unit'),
  'volumes[*].downwardAPI.defaultMode': honoured('who may do what with the files'),
  'volumes[*].projected': honoured('files of several sources'),
  'volumes[*].projected.defaultMode': honoured('who may do what with the files'),
  'volumes[*].projected.sources': honoured('the sources'),
  'volumes[*].projected.sources[*].configMap': honoured('keys as files'),
  'volumes[*].projected.sources[*].configMap.name': honoured('its name'),
  'volumes[*].projected.sources[*].configMap.items': honoured('only some keys, and where'),
  'volumes[*].projected.sources[*].configMap.items[*].key': honoured('which key'),
  'volumes[*].projected.sources[*].configMap.items[*].path': honoured('where its file is'),
  'volumes[*].projected.sources[*].configMap.items[*].mode': honoured('who may do what with it'),
  'volumes[*].projected.sources[*].configMap.optional': honoured('it may be missing'),
  'volumes[*].projected.sources[*].secret': honoured('keys as files, in memory'),
  'volumes[*].projected.sources[*].secret.name': honoured('its name'),
  'volumes[*].projected.sources[*].secret.items': honoured('only some keys, and where'),
  'volumes[*].projected.sources[*].secret.items[*].key': honoured('which key'),
  'volumes[*].projected.sources[*].secret.items[*].path': honoured('where its file is'),
  'volumes[*].projected.sources[*].secret.items[*].mode': honoured('who may do what with it'),
  'volumes[*].projected.sources[*].secret.optional': honoured('it may be missing'),
  'volumes[*].projected.sources[*].downwardAPI': honoured('fields of the pod as files'),
  'volumes[*].projected.sources[*].downwardAPI.items': honoured('its files'),
  'volumes[*].projected.sources[*].downwardAPI.items[*].path': honoured('where a file is'),
  'volumes[*].projected.sources[*].downwardAPI.items[*].mode': honoured('who may do what with it'),
  'volumes[*].projected.sources[*].downwardAPI.items[*].fieldRef': honoured('a field of the pod'),
  'volumes[*].projected.sources[*].downwardAPI.items[*].fieldRef.apiVersion': honoured('v1'),
  'volumes[*].projected.sources[*].downwardAPI.items[*].fieldRef.fieldPath':
    honoured('which field'),
  'volumes[*].projected.sources[*].downwardAPI.items[*].resourceFieldRef': honoured(
    'a resource of a container',
  ),
  'volumes[*].projected.sources[*].downwardAPI.items[*].resourceFieldRef.containerName':
    honoured('of which container'),
  'volumes[*].projected.sources[*].downwardAPI.items[*].resourceFieldRef.resource': honoured(
    'which resource; a limit of cpu or memory that is not set is what the worker has',
  ),
  'volumes[*].projected.sources[*].downwardAPI.items[*].resourceFieldRef.divisor':
    honoured('in which unit'),
  'volumes[*].hostPath': honoured('a file or directory of the worker'),
  'volumes[*].hostPath.path': honoured('where it is'),
  'volumes[*].hostPath.type': honoured('what it has to be'),
  'volumes[*].projected.sources[*].serviceAccountToken': refused(
    'there are no service accounts, and so no tokens of theirs',
  ),
  'volumes[*].projected.sources[*].clusterTrustBundle': refused('there is no trust bundle'),
  'volumes[*].projected.sources[*].podCertificate': refused('nobody signs certificates of pods'),
  'volumes[*].persistentVolumeClaim': refused(NO_STORAGE),
  'volumes[*].ephemeral': refused(NO_STORAGE),
  'volumes[*].csi': refused(NO_STORAGE),
  'volumes[*].image': refused('no image is pulled'),
  'volumes[*].nfs': refused(NO_STORAGE),
  'volumes[*].iscsi': refused(NO_STORAGE),
  'volumes[*].fc': refused(NO_STORAGE),
  nodeName: refused('a worker takes pods, it is not given them; choose a pool with nodeSelector'),
  priorityClassName: honoured('pods of a higher priority are taken first; nothing is preempted'),
  priority: refused('the integer value of priority must not be provided in pod spec'),
  preemptionPolicy: inert('no pod is preempted', 'PreemptLowerPriority'),
  schedulingGates: refused(
    "the spec of a Job's pods can not be changed, so nobody could open a gate; suspend the Job, or set its annotation drover.dev/hold-new-pods",
  ),
  resourceClaims: refused('there are no devices to claim'),
  workloadRef: refused('there is no gang scheduling'),
  'affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution': refused(
    'workers have no labels to match; choose a pool with nodeSelector drover.dev/pool',
  ),
  'affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution': inert(
    'any worker of the pool may take the pod',
  ),
  'affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution': refused(
    'a worker takes pods without looking at others',
  ),
  'affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution': inert(
    'any worker of the pool may take the pod',
  ),
  'affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution': refused(
    'a worker takes pods without looking at others',
  ),
  'affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution': inert(
    'any worker of the pool may take the pod',
  ),
  tolerations: inert('workers have no taints'),
  topologySpreadConstraints: inert('any worker of the pool may take the pod'),
  schedulerName: inert('workers take pods themselves', 'default-scheduler'),
  dnsPolicy: inert(OWN_NETWORK, 'ClusterFirst', 'Default'),
  dnsConfig: refused('a program looks names up as its worker does'),
  hostAliases: refused('a program looks names up as its worker does'),
  subdomain: refused(NO_DNS),
  setHostnameAsFQDN: refused(NO_DNS, false),
  hostnameOverride: honoured('in the environment as HOSTNAME, instead of any other'),
  hostNetwork: inert(OWN_NETWORK, false),
  hostPID: inert('a program sees the processes of its worker anyway', false),
  hostIPC: inert('a program shares IPC with its worker anyway', false),
  hostUsers: inert(NO_ISOLATION, true),
  shareProcessNamespace: inert(NO_ISOLATION, false),
  serviceAccountName: inert('there are no service accounts; no token is mounted', 'default'),
  serviceAccount: inert('there are no service accounts; no token is mounted', 'default'),
  automountServiceAccountToken: inert('there are no service accounts', false),
  imagePullSecrets: inert('no image is pulled'),
  enableServiceLinks: inert('there are no Services to link', true),
  readinessGates: inert('a pod is ready while it runs'),
  overhead: honoured('added to what its containers request'),
  'resources.limits': limits('memory that each of its containers may take, not all together'),
  'resources.requests': honoured('cpu and memory, instead of what its containers request'),
  'resources.claims': refused('there are no devices to claim'),
  'os.name': refused('workers run Linux programs', 'linux'),
  'securityContext.runAsUser': user('user of its programs, where the worker runs as root'),
  'securityContext.runAsGroup': user('their group, where the worker runs as root'),
  'securityContext.supplementalGroups': user('their further groups, likewise'),
  'securityContext.fsGroup': user('a further group, which has the volumes'),
  'securityContext.sysctls': refused('a program uses the kernel settings of its worker'),
  'securityContext.runAsNonRoot': nonRoot('programs are not run as root'),
  'securityContext.supplementalGroupsPolicy': inert(NO_ISOLATION),
  'securityContext.fsGroupChangePolicy': inert(NO_ISOLATION),
  'securityContext.seLinuxOptions': inert(NO_ISOLATION),
  'securityContext.seLinuxChangePolicy': inert(NO_ISOLATION),
  'securityContext.seccompProfile': inert(NO_ISOLATION),
  'securityContext.appArmorProfile': inert(NO_ISOLATION),
  'securityContext.windowsOptions': inert(NO_ISOLATION),
});

const CONTAINER: Readonly<Record<string, Row>> = {
  name: honoured('shown, and names the log'),
  image: {
    ...inert('the process runtime runs `command` with what is installed on the worker', ''),
    handler: { support: 'honoured', why: 'the name under which the handler is registered' },
  },
  command: {
    ...honoured('the program to run, without a shell'),
    handler: { support: 'refused', why: 'a handler is chosen by `image`; it gets `args`' },
  },
  args: honoured('its arguments'),
  workingDir: {
    ...honoured('where it runs'),
    handler: { support: 'refused', why: 'handlers share the working directory of their worker' },
  },
  'env[*]': honoured('environment'),
  'env[*].name': honoured('name of the variable'),
  'env[*].value': honoured('value; $(VAR) is expanded'),
  'env[*].valueFrom': honoured('value from the pod'),
  'env[*].valueFrom.fieldRef': honoured('a field of the pod'),
  'env[*].valueFrom.fieldRef.apiVersion': honoured('v1'),
  'env[*].valueFrom.fieldRef.fieldPath': honoured('which field'),
  'env[*].valueFrom.resourceFieldRef': honoured('a limit or request of a container'),
  'env[*].valueFrom.resourceFieldRef.containerName': honoured('of which container'),
  'env[*].valueFrom.resourceFieldRef.resource': honoured(
    'which resource; a limit of cpu or memory that is not set is what the worker has',
  ),
  'env[*].valueFrom.resourceFieldRef.divisor': honoured('in which unit'),
  'env[*].valueFrom.configMapKeyRef': honoured('a key of a ConfigMap'),
  'env[*].valueFrom.configMapKeyRef.name': honoured('name of the ConfigMap'),
  'env[*].valueFrom.configMapKeyRef.key': honoured('which key'),
  'env[*].valueFrom.configMapKeyRef.optional': honoured('the variable is left out without it'),
  'env[*].valueFrom.secretKeyRef': honoured('a key of a Secret'),
  'env[*].valueFrom.secretKeyRef.name': honoured('name of the Secret'),
  'env[*].valueFrom.secretKeyRef.key': honoured('which key'),
  'env[*].valueFrom.secretKeyRef.optional': honoured('the variable is left out without it'),
  'env[*].valueFrom.fileKeyRef': refused(
    'variables are made before a container can have written the file; the program can read it',
  ),
  'envFrom[*]': honoured('all keys of a ConfigMap or Secret'),
  'envFrom[*].prefix': honoured('before each name'),
  'envFrom[*].configMapRef': honoured('a ConfigMap'),
  'envFrom[*].configMapRef.name': honoured('its name'),
  'envFrom[*].configMapRef.optional': honoured('it may be missing'),
  'envFrom[*].secretRef': honoured('a Secret'),
  'envFrom[*].secretRef.name': honoured('its name'),
  'envFrom[*].secretRef.optional': honoured('it may be missing'),
  ports: inert('a program listens where it wants'),
  'resources.limits': limits('memory: a program that takes more is ended, as OOMKilled'),
  'resources.requests': honoured('cpu and memory: a worker takes only pods that it has room for'),
  'resources.claims': refused('there are no devices to claim'),
  resizePolicy: inert('requests and limits of a pod that runs do not change'),
  restartPolicy: {
    ...honoured('when it is started again, instead of the restartPolicy of the pod'),
    handler: { support: 'refused', why: 'a handler has the restartPolicy of its pod' },
  },
  restartPolicyRules: {
    ...honoured('exit codes after which it is started again whatever its restartPolicy'),
    handler: { support: 'refused', why: 'a handler has the restartPolicy of its pod' },
  },
  'restartPolicyRules[*].action': honoured('Restart'),
  'restartPolicyRules[*].exitCodes': honoured('match by exit code'),
  'restartPolicyRules[*].exitCodes.operator': honoured('In or NotIn'),
  'restartPolicyRules[*].exitCodes.values': honoured('exit codes'),
  volumeMounts: {
    ...honoured('where it finds volumes, also in DROVER_VOLUME_<NAME>'),
    handler: { support: 'refused', why: 'a handler shares the files of its worker' },
  },
  'volumeMounts[*].name': honoured('which volume'),
  'volumeMounts[*].mountPath': honoured('where, if the worker can mount'),
  'volumeMounts[*].readOnly': honoured('may not be written to, if the worker can mount'),
  'volumeMounts[*].subPath': honoured('a directory or file in the volume'),
  'volumeMounts[*].subPathExpr': honoured('the same with $(VAR)'),
  'volumeMounts[*].mountPropagation': refused('mounts are the own of each container', 'None'),
  'volumeMounts[*].recursiveReadOnly': refused('there are no mounts in volumes', 'Disabled'),
  volumeDevices: refused('there are no block devices'),
  livenessProbe: {
    ...honoured('whether its program still works; it is stopped when not, and started again'),
    handler: { support: 'refused', why: 'a handler is watched by its worker' },
  },
  'livenessProbe.exec': honoured('a program with the surroundings of the container'),
  'livenessProbe.exec.command': honoured('program and arguments'),
  'livenessProbe.httpGet': honoured('asks by HTTP'),
  'livenessProbe.httpGet.path': honoured('path'),
  'livenessProbe.httpGet.port': honoured('number or name of a port'),
  'livenessProbe.httpGet.host': honoured('default 127.0.0.1'),
  'livenessProbe.httpGet.scheme': honoured('HTTP or HTTPS'),
  'livenessProbe.httpGet.httpHeaders': honoured('headers'),
  'livenessProbe.httpGet.httpHeaders[*].name': honoured('name'),
  'livenessProbe.httpGet.httpHeaders[*].value': honoured('value'),
  'livenessProbe.tcpSocket': honoured('whether somebody listens'),
  'livenessProbe.tcpSocket.port': honoured('number or name of a port'),
  'livenessProbe.tcpSocket.host': honoured('default 127.0.0.1'),
  'livenessProbe.initialDelaySeconds': honoured('before the first time'),
  'livenessProbe.periodSeconds': honoured('between two times'),
  'livenessProbe.timeoutSeconds': honoured('how long an answer may take'),
  'livenessProbe.successThreshold': honoured('only 1'),
  'livenessProbe.failureThreshold': honoured('failures in a row'),
  'livenessProbe.terminationGracePeriodSeconds': honoured('grace period then'),
  'livenessProbe.grpc': refused('use exec with a program that asks by gRPC'),
  startupProbe: {
    ...honoured('whether its program has started; it is stopped when it does not'),
    handler: { support: 'refused', why: 'a handler is watched by its worker' },
  },
  'startupProbe.exec': honoured('a program with the surroundings of the container'),
  'startupProbe.exec.command': honoured('program and arguments'),
  'startupProbe.httpGet': honoured('asks by HTTP'),
  'startupProbe.httpGet.path': honoured('path'),
  'startupProbe.httpGet.port': honoured('number or name of a port'),
  'startupProbe.httpGet.host': honoured('default 127.0.0.1'),
  'startupProbe.httpGet.scheme': honoured('HTTP or HTTPS'),
  'startupProbe.httpGet.httpHeaders': honoured('headers'),
  'startupProbe.httpGet.httpHeaders[*].name': honoured('name'),
  'startupProbe.httpGet.httpHeaders[*].value': honoured('value'),
  'startupProbe.tcpSocket': honoured('whether somebody listens'),
  'startupProbe.tcpSocket.port': honoured('number or name of a port'),
  'startupProbe.tcpSocket.host': honoured('default 127.0.0.1'),
  'startupProbe.initialDelaySeconds': honoured('before the first time'),
  'startupProbe.periodSeconds': honoured('between two times'),
  'startupProbe.timeoutSeconds': honoured('how long an answer may take'),
  'startupProbe.successThreshold': honoured('only 1'),
  'startupProbe.failureThreshold': honoured('failures in a row'),
  'startupProbe.terminationGracePeriodSeconds': honoured('grace period then'),
  'startupProbe.grpc': refused('use exec with a program that asks by gRPC'),
  readinessProbe: inert('a pod counts as ready while it runs'),
  lifecycle: {
    ...honoured('what runs after its start and before its end'),
    handler: { support: 'refused', why: 'a handler is told by its AbortSignal that it is to end' },
  },
  'lifecycle.postStart': honoured('right after its start; when it fails the container is stopped'),
  'lifecycle.postStart.exec': honoured('a program with the surroundings of the container'),
  'lifecycle.postStart.exec.command': honoured('program and arguments'),
  'lifecycle.postStart.sleep': honoured('a time to wait'),
  'lifecycle.postStart.sleep.seconds': honoured('how long'),
  'lifecycle.postStart.httpGet': refused(NO_ADDRESS),
  'lifecycle.postStart.tcpSocket': refused(NO_ADDRESS),
  'lifecycle.preStop': honoured('before the container is told to stop, within the grace period'),
  'lifecycle.preStop.exec': honoured('a program with the surroundings of the container'),
  'lifecycle.preStop.exec.command': honoured('program and arguments'),
  'lifecycle.preStop.sleep': honoured('a time to wait'),
  'lifecycle.preStop.sleep.seconds': honoured('how long'),
  'lifecycle.preStop.httpGet': refused(NO_ADDRESS),
  'lifecycle.preStop.tcpSocket': refused(NO_ADDRESS),
  'lifecycle.stopSignal': refused(
    'a program is told to stop by SIGTERM; a preStop hook may send another signal',
  ),
  terminationMessagePath: {
    ...honoured('where a program leaves its last words, also in DROVER_TERMINATION_LOG'),
    handler: { support: 'inert', why: MESSAGE_OF_HANDLER },
    unset: ['/dev/termination-log'],
  },
  terminationMessagePolicy: {
    ...honoured('File, or FallbackToLogsOnError: else the end of its output'),
    handler: { support: 'inert', why: MESSAGE_OF_HANDLER },
    unset: ['File'],
  },
  imagePullPolicy: inert('no image is pulled'),
  stdin: inert('nothing can attach: standard input is empty', false),
  stdinOnce: inert('nothing can attach: standard input is empty', false),
  tty: refused('a program gets no terminal', false),
  'securityContext.runAsUser': user('its user, where the worker runs as root'),
  'securityContext.runAsGroup': user('its group, where the worker runs as root'),
  'securityContext.privileged': refused(AS_WORKER_USER, false),
  'securityContext.capabilities.add': refused(AS_WORKER_USER),
  'securityContext.capabilities.drop': inert(NO_ISOLATION),
  'securityContext.procMount': refused(AS_WORKER_USER, 'Default'),
  'securityContext.runAsNonRoot': nonRoot('it is not run as root'),
  'securityContext.readOnlyRootFilesystem': inert(NO_ISOLATION, false),
  'securityContext.allowPrivilegeEscalation': inert(NO_ISOLATION, true),
  'securityContext.seLinuxOptions': inert(NO_ISOLATION),
  'securityContext.seccompProfile': inert(NO_ISOLATION),
  'securityContext.appArmorProfile': inert(NO_ISOLATION),
  'securityContext.windowsOptions': inert(NO_ISOLATION),
};

const CONTAINERS = under('spec.template.spec.containers[*]', CONTAINER);
const INIT_CONTAINERS = under('spec.template.spec.initContainers[*]', {
  ...Object.fromEntries(
    // Under `handler` there are none at all: that is told once.
    Object.entries(CONTAINER).map(([name, { support, why, unset }]) => [
      name,
      { support, why, unset },
    ]),
  ),
  restartPolicy: honoured(
    'when it is started again; Always: a sidecar, that runs on beside the containers',
  ),
});

/** The table. */
export const FIELD_RULES: readonly FieldRule[] = [
  ...TOP,
  ...METADATA,
  ...SPEC,
  ...TEMPLATE_METADATA,
  ...POD,
  ...CONTAINERS,
  ...INIT_CONTAINERS,
];
