import type { SecretSummary } from '@drover/sdk/client';
import {
  ageText,
  completionsText,
  containerImagesText,
  containerNamesText,
  jobDurationText,
  jobStatusWord,
  nodeStatusWord,
  podReadyText,
  podRestarts,
  podStatusWord,
  cronJobSuspendText,
  lastScheduleText,
  type ConfigMap,
  type CronJob,
  type PriorityClass,
  quotaColumn,
  type ResourceQuota,
  type Job,
  type Node,
  type Pod,
  type PodSpec,
  type Secret,
} from '@drover/shared';

/** A column of a table: its header and how a cell is made. */
export interface Column<T> {
  readonly header: string;
  readonly cell: (object: T, nowMs: number) => string;
  /** Only with `-o wide`. */
  readonly wide?: boolean;
}

/** Columns of jobs, as the API server of Kubernetes defines them. */
export const JOB_COLUMNS: readonly Column<Job>[] = [
  { header: 'name', cell: (job) => job.metadata.name },
  { header: 'status', cell: (job) => jobStatusWord(job) },
  { header: 'completions', cell: (job) => completionsText(job) },
  { header: 'duration', cell: jobDurationText },
  { header: 'age', cell: (job, nowMs) => ageText(job.metadata.creationTimestamp, nowMs) },
  { header: 'containers', cell: (job) => containerNamesText(job.spec.template.spec), wide: true },
  { header: 'images', cell: (job) => containerImagesText(job.spec.template.spec), wide: true },
  { header: 'selector', cell: selectorText, wide: true },
];

/** Columns of CronJobs, as the API server of Kubernetes defines them. */
export const CRON_JOB_COLUMNS: readonly Column<CronJob>[] = [
  { header: 'name', cell: (cronJob) => cronJob.metadata.name },
  { header: 'schedule', cell: ({ spec }) => spec.schedule },
  { header: 'timezone', cell: ({ spec }) => orNone(spec.timeZone) },
  { header: 'suspend', cell: cronJobSuspendText },
  { header: 'active', cell: ({ status }) => String(status.active?.length ?? 0) },
  { header: 'last schedule', cell: lastScheduleText },
  { header: 'age', cell: ({ metadata }, nowMs) => ageText(metadata.creationTimestamp, nowMs) },
  { header: 'containers', cell: (cronJob) => containerNamesText(podSpecOf(cronJob)), wide: true },
  { header: 'images', cell: (cronJob) => containerImagesText(podSpecOf(cronJob)), wide: true },
  { header: 'selector', cell: () => '<none>', wide: true },
];

function podSpecOf({ spec }: CronJob): Pick<PodSpec, 'containers'> {
  return spec.jobTemplate.spec.template.spec;
}

/** Columns of pods. */
export const POD_COLUMNS: readonly Column<Pod>[] = [
  { header: 'name', cell: (pod) => pod.metadata.name },
  { header: 'ready', cell: podReadyText },
  { header: 'status', cell: podStatusWord },
  { header: 'restarts', cell: (pod) => String(podRestarts(pod)) },
  { header: 'age', cell: (pod, nowMs) => ageText(pod.metadata.creationTimestamp, nowMs) },
  { header: 'ip', cell: (pod) => pod.status?.podIP ?? '<none>', wide: true },
  { header: 'node', cell: (pod) => orNone(pod.spec.nodeName), wide: true },
  { header: 'nominated node', cell: () => '<none>', wide: true },
  { header: 'readiness gates', cell: () => '<none>', wide: true },
];

/** Columns of nodes; ROLES of Kubernetes gives way to what a worker offers. */
export const NODE_COLUMNS: readonly Column<Node>[] = [
  { header: 'name', cell: (node) => node.metadata.name },
  { header: 'status', cell: nodeStatusWord },
  { header: 'pool', cell: (node) => orNone(node.metadata.labels?.['drover.dev/pool']) },
  {
    header: 'runtimes',
    cell: (node) => orNone(node.metadata.annotations?.['drover.dev/runtimes']),
  },
  { header: 'max pods', cell: (node) => orNone(node.status?.capacity?.['pods']) },
  { header: 'cpu', cell: (node) => orNone(node.status?.capacity?.['cpu']) },
  { header: 'memory', cell: (node) => orNone(node.status?.capacity?.['memory']) },
  { header: 'age', cell: (node, nowMs) => ageText(node.metadata.creationTimestamp, nowMs) },
  { header: 'version', cell: (node) => orNone(node.status?.nodeInfo?.kubeletVersion) },
  {
    header: 'handlers',
    cell: (node) => orNone(node.metadata.annotations?.['drover.dev/handlers']),
    wide: true,
  },
  {
    header: 'pid',
    cell: (node) => orNone(node.metadata.annotations?.['drover.dev/pid']),
    wide: true,
  },
];

/** Columns of ConfigMaps. */
export const CONFIG_MAP_COLUMNS: readonly Column<ConfigMap>[] = [
  { header: 'name', cell: (map) => map.metadata.name },
  {
    header: 'data',
    cell: ({ data = {}, binaryData = {} }) =>
      String(Object.keys(data).length + Object.keys(binaryData).length),
  },
  { header: 'age', cell: (map, nowMs) => ageText(map.metadata.creationTimestamp, nowMs) },
];

/** Columns of ResourceQuotas. */
export const RESOURCE_QUOTA_COLUMNS: readonly Column<ResourceQuota>[] = [
  { header: 'name', cell: (quota) => quota.metadata.name },
  { header: 'request', cell: (quota) => quotaColumn(quota, 'requests') },
  { header: 'limit', cell: (quota) => quotaColumn(quota, 'limits') },
  { header: 'age', cell: (quota, nowMs) => ageText(quota.metadata.creationTimestamp, nowMs) },
];

/** Columns of PriorityClasses. */
export const PRIORITY_CLASS_COLUMNS: readonly Column<PriorityClass>[] = [
  { header: 'name', cell: (one) => one.metadata.name },
  { header: 'value', cell: ({ value }) => String(value) },
  { header: 'global-default', cell: ({ globalDefault }) => String(globalDefault ?? false) },
  { header: 'age', cell: (one, nowMs) => ageText(one.metadata.creationTimestamp, nowMs) },
];

/** Columns of Secrets, for which their data are not needed. */
export const SECRET_COLUMNS: readonly Column<Secret | SecretSummary>[] = [
  { header: 'name', cell: (secret) => secret.metadata.name },
  { header: 'type', cell: (secret) => secret.type },
  {
    header: 'data',
    cell: (secret) =>
      String(Object.keys('sizes' in secret ? secret.sizes : (secret.data ?? {})).length),
  },
  { header: 'age', cell: (secret, nowMs) => ageText(secret.metadata.creationTimestamp, nowMs) },
];

function selectorText({ spec }: Job): string {
  const labels = Object.entries(spec.selector?.matchLabels ?? {});
  return orNone(labels.map(([key, value]) => `${key}=${value}`).join(','));
}

function orNone(text: string | undefined): string {
  return text === undefined || text === '' ? '<none>' : text;
}
