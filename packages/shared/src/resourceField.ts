/** Resources of a container as fields of its pod: `limits.memory` and the like. */

import type { ResourceFieldSelector } from './configRefs.ts';
import {
  forbidden,
  invalid,
  notFound,
  notSupported,
  required,
  type ValidationIssue,
} from './issues.ts';
import type { ComputeResources } from './podResources.ts';
import type { Container, PodSpec } from './podTemplate.ts';
import { parseQuantity } from './quantity.ts';

type Containers = Pick<PodSpec, 'containers' | 'initContainers'>;

const RESOURCES = ['cpu', 'memory', 'ephemeral-storage'] as const;
/** All that may be asked for; huge pages of any size beside it. */
const FIELDS = ['limits', 'requests'].flatMap((kind) => RESOURCES.map((name) => `${kind}.${name}`));
/** What a worker says that it has, in units of 10^-9. */
const WORKER_AMOUNTS: ReadonlyMap<string, (worker: ComputeResources) => bigint> = new Map([
  ['cpu', ({ cpuMilli }) => BigInt(cpuMilli) * 1_000_000n],
  ['memory', ({ memoryBytes }) => BigInt(memoryBytes) * 1_000_000_000n],
]);
const DIVISORS: Readonly<Record<'cpu' | 'bytes', readonly string[]>> = {
  cpu: ['1m', '1'],
  bytes: ['1', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei'],
};

/**
 * What is wrong with a reference to a resource.
 *
 * @param own - The container whose environment it is for; null in a volume, where it must be named.
 */
export function resourceFieldIssues(
  selector: ResourceFieldSelector,
  path: string,
  pod: Containers,
  own: string | null,
): ValidationIssue[] {
  const { containerName = '', resource, divisor = '1' } = selector;
  const issues: ValidationIssue[] = [];
  const wanted = containerName === '' ? own : containerName;
  const container = wanted === null ? undefined : containerOf(pod, wanted);
  if (wanted === null) issues.push(required(`${path}.containerName`));
  else if (container === undefined) issues.push(notFound(`${path}.containerName`, wanted));
  if (resource === '') return [...issues, required(`${path}.resource`)];

  const [kind = '', name = ''] = resource.split(/\.(.*)/s);
  if (!FIELDS.includes(resource) && !/^(limits|requests)\.hugepages-./.test(resource)) {
    return [...issues, notSupported(`${path}.resource`, resource, FIELDS)];
  }
  const divisors = DIVISORS[name === 'cpu' ? 'cpu' : 'bytes'];
  if (divisor !== '0' && !divisors.includes(divisor)) {
    const detail = `only divisor's values ${divisors.join(', ')} are supported with the resource ${name}`;
    issues.push(invalid(`${path}.divisor`, divisor, detail));
  }
  const isMissing = kind === 'limits' && container !== undefined && !hasLimit(container, name);
  if (isMissing && !WORKER_AMOUNTS.has(name)) {
    const why = `container "${container.name}" has no limit of ${name}`;
    issues.push(
      forbidden(`${path}.resource`, `${why}, and workers do not say how much of it they have`),
    );
  }
  return issues;
}

/**
 * The value of a resource, as in Kubernetes: a request that was not made is 0, a limit that was not set what the
 * worker has.
 *
 * @param own - The container that it is for.
 * @param worker - What the pods of the worker may request together.
 */
export function resourceFieldValue(
  { containerName = '', resource, divisor = '1' }: ResourceFieldSelector,
  pod: Containers,
  own: string,
  worker: ComputeResources,
): string {
  const { limits = {}, requests = {} } = containerOf(pod, containerName || own)?.resources ?? {};
  const [kind = '', name = ''] = resource.split(/\.(.*)/s);
  const stated = parseQuantity((kind === 'limits' ? limits : requests)[name] ?? '0')?.nano ?? 0n;
  const isUnset = kind === 'limits' && stated === 0n;
  const amount = isUnset ? (WORKER_AMOUNTS.get(name)?.(worker) ?? 0n) : stated;
  const unit = parseQuantity(divisor === '0' ? '1' : divisor)?.nano ?? 1n;
  return String((amount + unit - 1n) / unit);
}

function containerOf(
  { containers, initContainers = [] }: Containers,
  name: string,
): Container | undefined {
  return [...containers, ...initContainers].find((container) => container.name === name);
}

function hasLimit({ resources }: Container, name: string): boolean {
  return resources.limits?.[name] !== undefined;
}
