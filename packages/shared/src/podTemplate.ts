import * as z from 'zod';

import { ContainerRestartRule, Lifecycle } from './containerLife.ts';
import { Probe } from './probe.ts';
import {
  ConfigKeySelector,
  EnvFromSource,
  ObjectFieldSelector,
  ResourceFieldSelector,
} from './configRefs.ts';
import { Volume, VolumeMount } from './podVolumes.ts';
import { ResourceQuantity } from './resourceQuantity.ts';
import { COUNTS_AS_MISSING } from './structure.ts';

/** An object that is kept and shown, but not looked into. */
const Opaque = z.looseObject({});

/** Fields of the pod that an environment variable can get, beside single labels and annotations. */
export const FIELD_PATHS = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
] as const;

/** Where the value of an environment variable comes from. Exactly one field is set. */
export const EnvVarSource = z.strictObject({
  /** A field of the pod. */
  fieldRef: ObjectFieldSelector.optional(),
  /** A resource of a container. */
  resourceFieldRef: ResourceFieldSelector.optional(),
  /** A key of a ConfigMap. */
  configMapKeyRef: ConfigKeySelector.optional(),
  /** A key of a Secret. */
  secretKeyRef: ConfigKeySelector.optional(),
  /** Refused. */
  fileKeyRef: z.unknown().optional(),
});
/** Where the value of an environment variable comes from. */
export type EnvVarSource = z.output<typeof EnvVarSource>;

/** An environment variable. A later one of the same name wins. */
export const EnvVar = z.strictObject({
  /** Name: printable ASCII without `=`. */
  name: z.string(),
  /** Value; `$(VAR)` stands for a variable that was set before, `$$` for `$`. Default empty. */
  value: z.string().optional(),
  /** Where the value comes from instead. */
  valueFrom: EnvVarSource.optional(),
});
/** An environment variable. */
export type EnvVar = z.output<typeof EnvVar>;

/** A port that a container says it listens on. Inert. */
export const ContainerPort = z.strictObject({
  /** 1..65535. */
  containerPort: z.int32(),
  /** Name of the port. */
  name: z.string().optional(),
  /** Default TCP. */
  protocol: z.enum(['TCP', 'UDP', 'SCTP']).default('TCP'),
  /** Port on the host. */
  hostPort: z.int32().optional(),
  /** Address on the host. */
  hostIP: z.string().optional(),
});

/** What a container asks for and may take. */
export const ResourceRequirements = z.strictObject({
  /** Most that it may take, by resource. */
  limits: z.record(z.string(), ResourceQuantity).optional(),
  /** What it needs, by resource. Default: its limits. */
  requests: z.record(z.string(), ResourceQuantity).optional(),
  /** Refused. */
  claims: z.unknown().optional(),
});
/** What a container asks for and may take. */
export type ResourceRequirements = z.output<typeof ResourceRequirements>;

/** Who a container runs as. What else restricts is inert, what grants is refused. */
export const ContainerSecurityContext = z.strictObject({
  /** Number of the user, where the worker runs as root. Default that of the pod. */
  runAsUser: z.int().optional(),
  /** Number of its group. Default that of the pod. */
  runAsGroup: z.int().optional(),
  /** It is not run as root. Default what the pod says. */
  runAsNonRoot: z.boolean().optional(),
  /** Refused when true. */
  privileged: z.boolean().optional(),
  /** `add` is refused, `drop` inert. */
  capabilities: z
    .strictObject({
      /** Refused. */
      add: z.array(z.string()).optional(),
      /** Inert. */
      drop: z.array(z.string()).optional(),
    })
    .optional(),
  /** Refused unless Default. */
  procMount: z.string().optional(),
  /** Inert. */
  readOnlyRootFilesystem: z.boolean().optional(),
  /** Inert. */
  allowPrivilegeEscalation: z.boolean().optional(),
  /** Inert. */
  seLinuxOptions: Opaque.optional(),
  /** Inert. */
  seccompProfile: Opaque.optional(),
  /** Inert. */
  appArmorProfile: Opaque.optional(),
  /** Inert. */
  windowsOptions: Opaque.optional(),
});
/** Who a container runs as. */
export type ContainerSecurityContext = z.output<typeof ContainerSecurityContext>;

/** A program, or a handler. */
export const Container = z
  .strictObject({
    /** Name, a DNS label, unique in the pod. */
    name: z.string(),
    /** Under `handler`: name of the handler, required. Under `process`: not used. */
    image: z.string().optional(),
    /** Program and first arguments, no shell. Required under `process`, refused under `handler`. */
    command: z.array(z.string()).optional(),
    /** Arguments. `$(VAR)` is expanded, here and in `command`. */
    args: z.array(z.string()).optional(),
    /** Directory to run in. Default: that of the worker. */
    workingDir: z.string().optional(),
    /** Environment. */
    env: z.array(EnvVar).optional(),
    /** ConfigMaps and Secrets whose keys become variables; `env` wins, and of these the later ones. */
    envFrom: z.array(EnvFromSource).optional(),
    /** Inert. */
    ports: z.array(ContainerPort).optional(),
    /** Inert. */
    resources: ResourceRequirements.optional(),
    /** Inert. */
    resizePolicy: z.array(Opaque).optional(),
    /** When it is started again, instead of the pod's. Of an initContainer `Always` makes it a sidecar. */
    restartPolicy: z.enum(['Always', 'OnFailure', 'Never']).optional(),
    /** Exit codes after which it is started again whatever its restartPolicy, which must be set. */
    restartPolicyRules: z.array(ContainerRestartRule).optional(),
    /** Volumes it finds, and where. */
    volumeMounts: z.array(VolumeMount).optional(),
    /** Refused. */
    volumeDevices: z.unknown().optional(),
    /** Whether its program still works; it is started again when not. Refused under `handler`. */
    livenessProbe: Probe.optional(),
    /** Whether its program has started; until then nothing else is asked. Refused under `handler`. */
    startupProbe: Probe.optional(),
    /** Inert. */
    readinessProbe: Opaque.optional(),
    /** What runs after its start and before its end. Refused under `handler`. */
    lifecycle: Lifecycle.optional(),
    /** File in which the program leaves its last words; they become the message of its end. */
    terminationMessagePath: z.string().default('/dev/termination-log'),
    /** What the message is when that file is empty: nothing, or the end of the output of a program that failed. */
    terminationMessagePolicy: z.enum(['File', 'FallbackToLogsOnError']).default('File'),
    /** Inert. Default for an image: Always for the tag `latest` or none, else IfNotPresent. */
    imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional(),
    /** See {@link ContainerSecurityContext}. */
    securityContext: ContainerSecurityContext.optional(),
    /** Inert. */
    stdin: z.boolean().optional(),
    /** Inert. */
    stdinOnce: z.boolean().optional(),
    /** Refused when true. */
    tty: z.boolean().optional(),
  })
  .transform((container) => {
    const { image, imagePullPolicy, resources } = container;
    const filled = { ...container, resources: withRequests(resources ?? {}) };
    if (image !== undefined && image !== '') {
      filled.imagePullPolicy = imagePullPolicy ?? defaultPullPolicy(image);
    }
    return filled;
  });
/** A program, or a handler. */
export type Container = z.output<typeof Container>;

function withRequests(resources: ResourceRequirements): ResourceRequirements {
  const { limits, requests } = resources;
  if (limits === undefined) return resources;
  return { ...resources, requests: { ...limits, ...requests } };
}

function defaultPullPolicy(image: string): 'Always' | 'IfNotPresent' {
  if (image.includes('@')) return 'IfNotPresent';
  // A colon before the last slash belongs to the registry's port.
  const [, tag = 'latest'] = image.slice(image.lastIndexOf('/') + 1).split(':');
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}

/** Terms of an affinity: required ones are refused, preferred ones inert. */
const AffinityTerms = z.strictObject({
  /** Refused. */
  requiredDuringSchedulingIgnoredDuringExecution: z.unknown().optional(),
  /** Inert. */
  preferredDuringSchedulingIgnoredDuringExecution: z.array(Opaque).optional(),
});

/** Who the containers of a pod run as. What else restricts is inert, what grants is refused. */
export const PodSecurityContext = z.strictObject({
  /** Number of the user, where the worker runs as root. Default: that of the worker. */
  runAsUser: z.int().optional(),
  /** Number of its group. Default: that of the user on the worker's machine. */
  runAsGroup: z.int().optional(),
  /** Numbers of further groups. */
  supplementalGroups: z.array(z.int()).optional(),
  /** Number of a further group, to which its volumes belong. */
  fsGroup: z.int().optional(),
  /** Refused. */
  sysctls: z.array(Opaque).optional(),
  /** None of its containers is run as root. Default false. */
  runAsNonRoot: z.boolean().optional(),
  /** Inert. */
  supplementalGroupsPolicy: z.string().optional(),
  /** Inert. */
  fsGroupChangePolicy: z.string().optional(),
  /** Inert. */
  seLinuxOptions: Opaque.optional(),
  /** Inert. */
  seLinuxChangePolicy: z.string().optional(),
  /** Inert. */
  seccompProfile: Opaque.optional(),
  /** Inert. */
  appArmorProfile: Opaque.optional(),
  /** Inert. */
  windowsOptions: Opaque.optional(),
});
/** Who the containers of a pod run as. */
export type PodSecurityContext = z.output<typeof PodSecurityContext>;

/** What a pod runs and how. Which fields are honoured, inert or refused: `fields.ts`. */
export const PodSpec = z.strictObject({
  /** They run at the same time; the pod ends when all have ended. Under `handler` exactly one. */
  containers: z.array(Container),
  /** What happens when a container fails: a new pod (Never), or a restart in the pod (OnFailure). */
  restartPolicy: z.enum(['OnFailure', 'Never'], {
    // The default of pods, which makes no sense for Jobs: Kubernetes asks for a choice.
    error: ({ input }) => (input === 'Always' ? COUNTS_AS_MISSING : undefined),
  }),
  /** From SIGTERM to SIGKILL, in seconds. Negative counts as 1. See {@link gracePeriodMs}. */
  terminationGracePeriodSeconds: z.int().default(30),
  /** `process` (default) or `handler`. See {@link runtimeOf}. */
  runtimeClassName: z.string().optional(),
  /** Only `drover.dev/pool`. See {@link poolOf}. */
  nodeSelector: z.record(z.string(), z.string()).optional(),
  /** Hostname of the pod, a DNS label; an Indexed Job sets its own. */
  hostname: z.string().optional(),
  /** Refused. 1..2147483647 seconds. */
  activeDeadlineSeconds: z.int().optional(),
  /**
   * They run before the containers, one after the other, and each must succeed. One with
   * `restartPolicy: Always` is a sidecar: it runs on beside the others. Refused under `handler`.
   */
  initContainers: z.array(Container).optional(),
  /** Refused. */
  ephemeralContainers: z.unknown().optional(),
  /** Directories of the pod. Refused under `handler`. */
  volumes: z.array(Volume).optional(),
  /** Refused. */
  nodeName: z.string().optional(),
  /** Name of a PriorityClass: workers take pods of a higher value first. Default: the class that is the default, if any. */
  priorityClassName: z.string().optional(),
  /** Refused. */
  priority: z.int32().optional(),
  /** Inert. */
  preemptionPolicy: z.string().optional(),
  /** Refused. */
  schedulingGates: z.unknown().optional(),
  /** Refused. */
  resourceClaims: z.unknown().optional(),
  /** Refused. */
  workloadRef: z.unknown().optional(),
  /** Preferences are inert, requirements refused. */
  affinity: z
    .strictObject({
      /** By the labels of nodes. */
      nodeAffinity: AffinityTerms.optional(),
      /** Near other pods. */
      podAffinity: AffinityTerms.optional(),
      /** Away from other pods. */
      podAntiAffinity: AffinityTerms.optional(),
    })
    .optional(),
  /** Inert. */
  tolerations: z.array(Opaque).optional(),
  /** Inert. */
  topologySpreadConstraints: z.array(Opaque).optional(),
  /** Inert. */
  schedulerName: z.string().default('default-scheduler'),
  /** Inert. */
  dnsPolicy: z
    .enum(['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'])
    .default('ClusterFirst'),
  /** Refused. */
  dnsConfig: z.unknown().optional(),
  /** Refused. */
  hostAliases: z.unknown().optional(),
  /** Refused. */
  subdomain: z.string().optional(),
  /** Refused when true. */
  setHostnameAsFQDN: z.boolean().optional(),
  /** HOSTNAME in the environment, instead of any other name; at most 64 characters. */
  hostnameOverride: z.string().optional(),
  /** Inert. */
  hostNetwork: z.boolean().optional(),
  /** Inert. */
  hostPID: z.boolean().optional(),
  /** Inert. */
  hostIPC: z.boolean().optional(),
  /** Inert. */
  hostUsers: z.boolean().optional(),
  /** Inert. */
  shareProcessNamespace: z.boolean().optional(),
  /** Inert. */
  serviceAccountName: z.string().optional(),
  /** Inert. */
  serviceAccount: z.string().optional(),
  /** Inert. */
  automountServiceAccountToken: z.boolean().optional(),
  /** Inert. */
  imagePullSecrets: z.array(Opaque).optional(),
  /** Inert. */
  enableServiceLinks: z.boolean().optional(),
  /** Inert. */
  readinessGates: z.array(Opaque).optional(),
  /** Inert. */
  overhead: z.record(z.string(), ResourceQuantity).optional(),
  /** Inert. */
  resources: ResourceRequirements.optional(),
  /** Only Linux. */
  os: z
    .strictObject({
      /** `linux`. */
      name: z.string(),
    })
    .optional(),
  /** See {@link PodSecurityContext}. */
  securityContext: PodSecurityContext.default({}),
});
/** What a pod runs and how. */
export type PodSpec = z.output<typeof PodSpec>;

/** What each pod of a Job looks like. */
export const PodTemplateSpec = z.strictObject({
  /** Labels and annotations of each pod. */
  metadata: z
    .strictObject({
      /** Labels; Drover adds those of the Job. */
      labels: z.record(z.string(), z.string()).optional(),
      /** Annotations. */
      annotations: z.record(z.string(), z.string()).optional(),
      /** Inert. */
      name: z.string().optional(),
      /** Inert. */
      generateName: z.string().optional(),
      /** Inert. */
      namespace: z.string().optional(),
      /** Inert. */
      creationTimestamp: z.string().optional(),
      /** Refused. */
      finalizers: z.unknown().optional(),
    })
    .prefault({}),
  /** What it runs. */
  spec: PodSpec,
});
/** What each pod of a Job looks like. */
export type PodTemplateSpec = z.output<typeof PodTemplateSpec>;
