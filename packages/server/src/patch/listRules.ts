/**
 * How the lists of the API are merged, as Kubernetes does it: clients read these rules from the
 * OpenAPI documents, and patches and applied configurations are made by them.
 */

import type { Resource } from '../api/resource.ts';

/** How a list is merged. Lists without a rule are replaced as a whole. */
export interface ListRule {
  /** Field that tells its items apart in a strategic merge patch; null: the items are plain values. */
  readonly mergeKey: string | null;
  /** Other fields of an item go with it, too, when one is set. */
  readonly retainsKeys: boolean;
  /**
   * Fields that tell its items apart for those who own fields; null: nobody owns a part of the list.
   * Empty: the items are plain values.
   */
  readonly mapKeys: readonly string[] | null;
}

function byKey(mergeKey: string, ...others: readonly string[]): ListRule {
  return { mergeKey, retainsKeys: false, mapKeys: [mergeKey, ...others] };
}

const CONTAINER_LISTS: Readonly<Record<string, ListRule>> = {
  ports: byKey('containerPort', 'protocol'),
  env: byKey('name'),
  volumeMounts: byKey('mountPath'),
  volumeDevices: byKey('devicePath'),
};

const POD_LISTS: Readonly<Record<string, ListRule>> = {
  volumes: { ...byKey('name'), retainsKeys: true },
  initContainers: byKey('name'),
  containers: byKey('name'),
  ephemeralContainers: byKey('name'),
  imagePullSecrets: byKey('name'),
  hostAliases: byKey('ip'),
  topologySpreadConstraints: byKey('topologyKey', 'whenUnsatisfiable'),
  resourceClaims: { ...byKey('name'), retainsKeys: true },
  schedulingGates: byKey('name'),
  ...under('containers', CONTAINER_LISTS),
  ...under('initContainers', CONTAINER_LISTS),
};

const META_LISTS: Readonly<Record<string, ListRule>> = {
  'metadata.ownerReferences': byKey('uid'),
  'metadata.finalizers': { mergeKey: null, retainsKeys: false, mapKeys: [] },
};

/** A part of an object that has no owner of its own: it is owned, and set, as a whole. */
const POD_ATOMIC = [
  'nodeSelector',
  'affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution',
  'overhead',
];

const LISTS_OF_KINDS: Readonly<Record<string, Readonly<Record<string, ListRule>>>> = {
  Job: {
    ...under('spec.template.spec', POD_LISTS),
    'status.conditions': { mergeKey: 'type', retainsKeys: false, mapKeys: null },
  },
  CronJob: {
    ...under('spec.jobTemplate', META_LISTS),
    ...under('spec.jobTemplate.spec.template.spec', POD_LISTS),
    'status.active': { mergeKey: null, retainsKeys: false, mapKeys: null },
  },
  Pod: {
    ...under('spec', POD_LISTS),
    'status.conditions': byKey('type'),
  },
  Node: {
    'status.conditions': byKey('type'),
    'status.addresses': { mergeKey: 'type', retainsKeys: false, mapKeys: null },
  },
  Namespace: { 'status.conditions': byKey('type') },
  ServiceAccount: { secrets: byKey('name') },
};

const ATOMIC_OF_KINDS: Readonly<Record<string, readonly string[]>> = {
  Job: ['spec.selector', ...POD_ATOMIC.map((path) => `spec.template.spec.${path}`)],
  CronJob: POD_ATOMIC.map((path) => `spec.jobTemplate.spec.template.spec.${path}`),
  Pod: POD_ATOMIC.map((path) => `spec.${path}`),
};

function under(
  prefix: string,
  rules: Readonly<Record<string, ListRule>>,
): Record<string, ListRule> {
  return Object.fromEntries(
    Object.entries(rules).map(([path, rule]) => [`${prefix}.${path}`, rule]),
  );
}

/** The lists of a kind that are merged, by their paths without the numbers of items. */
export function listRulesOf({ kind }: Pick<Resource, 'kind'>): ReadonlyMap<string, ListRule> {
  return new Map(Object.entries({ ...META_LISTS, ...LISTS_OF_KINDS[kind] }));
}

/** Paths of a kind's objects that are set as a whole. */
export function atomicPathsOf({ kind }: Pick<Resource, 'kind'>): ReadonlySet<string> {
  return new Set(ATOMIC_OF_KINDS[kind]);
}
