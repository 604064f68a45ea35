/** What a pod takes as a whole, reckoned as Kubernetes does. */

import type { Container, PodSpec, ResourceRequirements } from './podTemplate.ts';
import { parseQuantity } from './quantity.ts';

/** Requests or limits. */
export type ResourceKind = 'requests' | 'limits';

type ResourcesOfPod = Pick<PodSpec, 'containers' | 'initContainers' | 'resources' | 'overhead'>;

/** What a worker reserves for a pod, and what it has to give. */
export interface ComputeResources {
  /** CPU time, in thousandths of a CPU. */
  readonly cpuMilli: number;
  /** Memory, in bytes. */
  readonly memoryBytes: number;
}

/** Resources that a pod may state as a whole instead of by container. */
const POD_LEVEL = /^(cpu|memory|hugepages-.+)$/;

/**
 * How much of a resource a pod requests, or is limited to, in units of 10^-9; null when it does not say.
 *
 * Containers and sidecars run together, an initContainer only with the sidecars before it: it is the larger of both
 * that counts. What the pod states as a whole goes first; its overhead is added to either.
 *
 * @see component-helpers, resource/helpers.go
 */
export function podAmount(pod: ResourcesOfPod, kind: ResourceKind, name: string): bigint | null {
  const own = POD_LEVEL.test(name) ? podLevelAmount(pod, kind, name) : null;
  const amount = own ?? sumOfContainers(pod, kind, name);
  const overhead = nano(pod.overhead?.[name]);
  if (overhead === null) return amount;
  // Overhead raises a limit, but makes none.
  if (kind === 'limits') return amount === null ? null : amount + overhead;
  return (amount ?? 0n) + overhead;
}

/** What a worker reserves for a pod; null when the pod asks for nothing. */
export function podRequests(pod: ResourcesOfPod): ComputeResources | null {
  const cpu = podAmount(pod, 'requests', 'cpu') ?? 0n;
  const memory = podAmount(pod, 'requests', 'memory') ?? 0n;
  if (cpu === 0n && memory === 0n) return null;
  return { cpuMilli: cpuMilliOf(cpu), memoryBytes: bytesOf(memory) };
}

/** Thousandths of a CPU, rounded up. */
export function cpuMilliOf(nanoCpus: bigint): number {
  return toNumber((nanoCpus + 999_999n) / 1_000_000n);
}

/** Whole bytes, rounded up. */
export function bytesOf(nanoBytes: bigint): number {
  return toNumber((nanoBytes + 999_999_999n) / 1_000_000_000n);
}

/** How many such pods there is room for; less than one is none. */
export function podsThatFit(has: ComputeResources, wants: ComputeResources): number {
  return Math.max(
    0,
    Math.min(share(has.cpuMilli, wants.cpuMilli), share(has.memoryBytes, wants.memoryBytes)),
  );
}

function share(has: number, wants: number): number {
  return wants === 0 ? Number.POSITIVE_INFINITY : Math.floor(has / wants);
}

function podLevelAmount(pod: ResourcesOfPod, kind: ResourceKind, name: string): bigint | null {
  const stated = nano(pod.resources?.[kind]?.[name]);
  if (stated !== null || kind === 'limits') return stated;
  // A limit of the pod stands for the request that nobody makes.
  return sumOfContainers(pod, 'requests', name) ?? nano(pod.resources?.limits?.[name]);
}

function sumOfContainers(
  { containers, initContainers = [] }: ResourcesOfPod,
  kind: ResourceKind,
  name: string,
): bigint | null {
  const amountOf = ({ resources }: Container): bigint | null => amountIn(resources, kind, name);
  let isStated = false;
  const counted = (container: Container): bigint => {
    const amount = amountOf(container);
    isStated ||= amount !== null;
    return amount ?? 0n;
  };
  let sidecars = 0n;
  let most = 0n;
  for (const container of initContainers) {
    const amount = counted(container);
    if (container.restartPolicy === 'Always') sidecars += amount;
    const together = container.restartPolicy === 'Always' ? sidecars : sidecars + amount;
    if (together > most) most = together;
  }
  const running = containers.reduce((sum, container) => sum + counted(container), sidecars);
  if (!isStated) return null;
  return running > most ? running : most;
}

/** A container's limit stands for a request that it does not make, also in what was stored without defaults. */
function amountIn(
  resources: ResourceRequirements | undefined,
  kind: ResourceKind,
  name: string,
): bigint | null {
  const stated = nano(resources?.[kind]?.[name]);
  return stated ?? (kind === 'requests' ? nano(resources?.limits?.[name]) : null);
}

function nano(text: string | undefined): bigint | null {
  return text === undefined ? null : (parseQuantity(text)?.nano ?? null);
}

function toNumber(value: bigint): number {
  const most = BigInt(Number.MAX_SAFE_INTEGER);
  return Number(value > most ? most : value);
}
