import * as z from 'zod';

import { forbidden, invalid, notSupported, type ValidationIssue } from './issues.ts';
import { ObjectMeta } from './meta.ts';
import type { ObjectKind } from './objectKind.ts';
import { formatQuantity, parseQuantity } from './quantity.ts';
import { bytesOf, cpuMilliOf, podAmount } from './podResources.ts';
import type { PodSpec } from './podTemplate.ts';
import { ResourceQuantity } from './resourceQuantity.ts';

/** Amounts by resource, as quantities: `requests.cpu: "4"`. */
const Amounts = z.record(z.string(), ResourceQuantity);

/** How much the objects of a namespace may take together. */
export const ResourceQuota = z.strictObject({
  /** `v1`. */
  apiVersion: z.literal('v1').default('v1'),
  /** `ResourceQuota`. */
  kind: z.literal('ResourceQuota').default('ResourceQuota'),
  /** Name, labels and the like. */
  metadata: ObjectMeta.prefault({}),
  /** What may be taken. */
  spec: z
    .strictObject({
      /** The most of each resource: `pods`, `requests.cpu`, `count/jobs.batch`, ... */
      hard: Amounts.optional(),
      /** Not supported: a quota is for all pods of its namespace. */
      scopes: z.array(z.string()).optional(),
      /** Not supported: a quota is for all pods of its namespace. */
      scopeSelector: z.unknown().optional(),
    })
    .prefault({}),
  /** What is taken now. */
  status: z
    .strictObject({
      /** The most of each resource, as in the spec. */
      hard: Amounts.optional(),
      /** How much of it is taken. */
      used: Amounts.optional(),
    })
    .optional(),
});
/** How much the objects of a namespace may take together. */
export type ResourceQuota = z.output<typeof ResourceQuota>;

/** How a resource is reckoned: `cpu` in thousandths, `memory` in bytes, `count` in pieces. */
type Unit = 'cpu' | 'memory' | 'count';

/** What a pod takes, and by which unit; `alias`: another name of the same. */
const POD_RESOURCES: Readonly<Record<string, { readonly unit: Unit; readonly alias?: string }>> = {
  pods: { unit: 'count' },
  'requests.cpu': { unit: 'cpu' },
  'requests.memory': { unit: 'memory' },
  'limits.cpu': { unit: 'cpu' },
  'limits.memory': { unit: 'memory' },
  cpu: { unit: 'cpu', alias: 'requests.cpu' },
  memory: { unit: 'memory', alias: 'requests.memory' },
};

/** Objects that are counted, by kind, with the names that quotas have for them. */
export const COUNTED_KINDS: Readonly<Record<string, readonly string[]>> = {
  Job: ['count/jobs.batch'],
  CronJob: ['count/cronjobs.batch'],
  ConfigMap: ['configmaps', 'count/configmaps'],
  Secret: ['secrets', 'count/secrets'],
};

const COUNTED = new Map(
  Object.entries(COUNTED_KINDS).flatMap(([kind, names]) => names.map((name) => [name, kind])),
);
const RESOURCES = [...Object.keys(POD_RESOURCES), ...COUNTED.keys()];

/** ResourceQuotas as a kind. */
export const RESOURCE_QUOTA_KIND: ObjectKind<ResourceQuota> = {
  kind: 'ResourceQuota',
  apiVersion: 'v1',
  resource: 'resourcequotas',
  schema: ResourceQuota,
  issues: quotaIssues,
  changeIssues: () => [],
  settle: ({ status: _given, ...quota }, stored) =>
    stored?.status === undefined ? quota : { ...quota, status: stored.status },
  hidden: [],
};

const ALL_PODS = 'not supported: a quota is for all pods of its namespace';

function quotaIssues({ spec }: ResourceQuota): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  for (const [resource, text] of Object.entries(spec.hard ?? {})) {
    const path = `spec.hard[${resource}]`;
    const unit = unitOf(resource);
    if (resource === 'count/pods') {
      const why = 'counts pods that ended too, of which Drover keeps as many as it is told to';
      issues.push(forbidden(path, `${why}: use "pods", the pods that have not ended`));
    } else if (unit === null) {
      issues.push(notSupported(path, resource, RESOURCES));
      continue;
    }
    const amount = parseQuantity(text)?.nano ?? null;
    if (amount === null) issues.push(invalid(path, text, 'must be a quantity'));
    else if (amount < 0n) {
      issues.push(invalid(path, text, 'must be greater than or equal to 0'));
    } else if (unit === 'count' && amount % 1_000_000_000n !== 0n) {
      issues.push(invalid(path, text, 'must be an integer'));
    }
  }
  if (spec.scopes !== undefined) issues.push(forbidden('spec.scopes', ALL_PODS));
  if (spec.scopeSelector !== undefined) issues.push(forbidden('spec.scopeSelector', ALL_PODS));
  return issues;
}

function unitOf(resource: string): Unit | null {
  if (COUNTED.has(resource)) return 'count';
  return Object.hasOwn(POD_RESOURCES, resource) ? POD_RESOURCES[resource]!.unit : null;
}

/** The amounts of a quota in whole units, as text: thousandths of a CPU, bytes, pieces. */
export function quotaAmounts({ spec }: Pick<ResourceQuota, 'spec'>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(spec.hard ?? {}).flatMap(([resource, text]) => {
      const unit = unitOf(resource);
      const nano = parseQuantity(text)?.nano ?? null;
      if (unit === null || nano === null) return [];
      // Down: what is more than a whole unit allows no more.
      return [[resource, String(nano / (unit === 'cpu' ? 1_000_000n : 1_000_000_000n))]];
    }),
  );
}

/** What is taken in a namespace, in whole units: of pods by resource, of others by kind. */
export interface QuotaUsage {
  readonly pods: Readonly<Record<string, number>>;
  readonly objects: Readonly<Record<string, number>>;
}

/** The status of a quota. */
export function quotaStatus(
  { spec }: Pick<ResourceQuota, 'spec'>,
  usage: QuotaUsage,
): NonNullable<ResourceQuota['status']> {
  const hard = spec.hard ?? {};
  const used = Object.keys(hard).map((resource) => {
    const kind = COUNTED.get(resource);
    const name = POD_RESOURCES[resource]?.alias ?? resource;
    const amount = kind === undefined ? usage.pods[name] : usage.objects[kind];
    return [resource, amountText(resource, BigInt(amount ?? 0))] as const;
  });
  return { hard, used: Object.fromEntries(used) };
}

/** What is taken and allowed, in one line: of limits, or of all else. */
export function quotaColumn({ status }: ResourceQuota, which: 'requests' | 'limits'): string {
  const { hard = {}, used = {} } = status ?? {};
  return Object.keys(hard)
    .filter((name) => name.startsWith('limits') === (which === 'limits'))
    .toSorted()
    .map((name) => `${name}: ${used[name] ?? '0'}/${hard[name]}`)
    .join(', ');
}

/** The kinds that a quota counts, and that have to be counted to tell its status. */
export function countedKinds({ spec }: Pick<ResourceQuota, 'spec'>): string[] {
  const kinds = Object.keys(spec.hard ?? {}).flatMap((resource) => COUNTED.get(resource) ?? []);
  return [...new Set(kinds)];
}

function amountText(resource: string, amount: bigint): string {
  const unit = unitOf(resource);
  if (unit === 'cpu') return formatQuantity({ nano: amount * 1_000_000n, format: 'DecimalSI' });
  const format = unit === 'memory' ? 'BinarySI' : 'DecimalSI';
  return formatQuantity({ nano: amount * 1_000_000_000n, format });
}

/** What each container has to state when it is bounded, in the order of the bits of a share. */
const STATED = [
  ['requests', 'cpu'],
  ['requests', 'memory'],
  ['limits', 'cpu'],
  ['limits', 'memory'],
] as const;

/**
 * What a pod takes of the quota of its namespace beside being one, as the scripts read it: requested CPU and memory,
 * limits of both, in thousandths and bytes, and bits of what not every container states. '' = nothing is stated.
 */
export function quotaShare(spec: PodSpec): string {
  const amounts = STATED.map(([kind, name]) => {
    const amount = podAmount(spec, kind, name) ?? 0n;
    return name === 'cpu' ? cpuMilliOf(amount) : bytesOf(amount);
  });
  const unstated = STATED.reduce(
    (bits, _, i) => bits | (containersWithout(spec, i).length > 0 ? 1 << i : 0),
    0,
  );
  const share = [...amounts, unstated].join(' ');
  return share === '0 0 0 0 15' ? '' : share;
}

function containersWithout(spec: PodSpec, position: number): string[] {
  const [kind, name] = STATED[position]!;
  if (spec.resources?.[kind]?.[name] !== undefined) return [];
  const all = [...spec.containers, ...(spec.initContainers ?? [])];
  return all
    .filter(({ resources }) => {
      // A limit stands for the request that is not made.
      const isLimited = resources?.limits?.[name] !== undefined;
      return !isLimited && (kind === 'limits' || resources?.requests?.[name] === undefined);
    })
    .map((container) => container.name)
    .toSorted();
}

/** Why quota does not allow one more. */
export interface QuotaDenial {
  /** Name of the ResourceQuota. */
  readonly quota: string;
  /**
   * `exceeded`: too much of it is taken. `unspecified`: containers do not state what is bounded. `unknown`: what is
   * taken is not counted yet.
   */
  readonly type: 'exceeded' | 'unspecified' | 'unknown';
  /** Of each resource its name; when it is exceeded also what was requested, used and allowed, in whole units. */
  readonly resources: readonly (readonly string[])[];
}

/** What the quotas of a namespace allow its pods, and what these take. */
export interface PodQuotas {
  /** By the name of the quota: amounts by resource, in whole units. */
  readonly hard: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** By resource, in whole units. */
  readonly used: Readonly<Record<string, number>>;
  /** What is taken is not counted yet. */
  readonly isCounting: boolean;
}

/** Why quota allows no further pod; null when it does. As `denialOf` of the scripts, which decides. */
export function podQuotaDenial(
  spec: PodSpec,
  { hard, used, isCounting }: PodQuotas,
): QuotaDenial | null {
  const share = (quotaShare(spec) || '0 0 0 0 15').split(' ').map(Number);
  const unstatedBits = share[STATED.length] ?? 0;
  const positionOf = (resource: string): number =>
    STATED.findIndex(([kind, name]) => `${kind}.${name}` === resource);
  for (const quota of Object.keys(hard).toSorted()) {
    const resources = Object.entries(hard[quota] ?? {}).flatMap(([resource, limit]) => {
      const known = Object.hasOwn(POD_RESOURCES, resource) ? POD_RESOURCES[resource] : undefined;
      if (known === undefined) return [];
      const name = known.alias ?? resource;
      const position = positionOf(name);
      const wanted = name === 'pods' ? 1 : (share[position] ?? 0);
      const isUnstated = position >= 0 && ((unstatedBits >> position) & 1) === 1;
      return [{ resource, limit, wanted, used: used[name] ?? 0, isUnstated }];
    });
    const unstated = resources.filter(({ isUnstated }) => isUnstated);
    const exceeded = resources.filter(
      (one) => one.wanted > 0 && one.used + one.wanted > Number(one.limit),
    );
    const names = (some: typeof resources): string[][] => some.map(({ resource }) => [resource]);
    if (isCounting && resources.length > 0) {
      return { quota, type: 'unknown', resources: names(resources) };
    }
    if (unstated.length > 0) return { quota, type: 'unspecified', resources: names(unstated) };
    if (exceeded.length > 0) {
      const amounts = exceeded.map((one) => [
        one.resource,
        String(one.wanted),
        String(one.used),
        one.limit,
      ]);
      return { quota, type: 'exceeded', resources: amounts };
    }
  }
  return null;
}

/**
 * A denial in Kubernetes' words.
 *
 * @param spec - Of the pod; null for other objects.
 */
export function quotaDenialText({ quota, type, resources }: QuotaDenial, spec: PodSpec | null) {
  const sorted = resources.toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1));
  if (type === 'unknown') {
    return `status unknown for quota: ${quota}, resources: ${sorted.map(([name]) => name).join(',')}`;
  }
  if (type === 'unspecified') {
    const unstated = sorted.map(([name = '']) => {
      const stated = POD_RESOURCES[name]?.alias ?? name;
      const position = STATED.findIndex(([kind, resource]) => `${kind}.${resource}` === stated);
      const who = spec === null ? [] : containersWithout(spec, position);
      return `${name} for: ${who.join(',')}`;
    });
    return `failed quota: ${quota}: must specify ${unstated.join('; ')}`;
  }
  const list = (at: number) =>
    sorted.map((one) => `${one[0]}=${amountText(one[0]!, BigInt(one[at]!))}`).join(',');
  return `exceeded quota: ${quota}, requested: ${list(1)}, used: ${list(2)}, limited: ${list(3)}`;
}
