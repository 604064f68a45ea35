import { createHash } from 'node:crypto';
import {
  type ComputeResources,
  formatQuantity,
  formatTime,
  type Node,
  type NodeCondition,
  parseTime,
  POOL_LABEL,
} from '@drover/shared';
import type { NodeRecord } from '../nodes.ts';
import { formatVersion } from './job.ts';

/** As resourceVersions of shards have them. */
const VERSIONS_PER_MS = 4_096;

/** What a worker writes of itself; anything may be missing in records of other versions. */
interface NodeDetails {
  readonly pool?: string;
  readonly runtimes?: readonly string[];
  readonly handlers?: readonly string[];
  readonly lanes?: Readonly<Record<string, number>>;
  readonly resources?: ComputeResources;
  readonly version?: string;
  readonly pid?: number;
  readonly hostname?: string;
  readonly startedAt?: string;
  readonly conditions?: readonly NodeCondition[];
}

/**
 * A worker as a Node. One that has not written its record for a while is shown with Ready Unknown,
 * as Kubernetes shows a node whose kubelet is silent. Pure.
 */
export function composeNode(record: NodeRecord): Node {
  const details = JSON.parse(record.object) as NodeDetails;
  const { pool = 'default', runtimes = [], handlers = [], lanes = {} } = details;
  const { isSilent } = record;
  const conditions = details.conditions ?? [];
  const isDraining = conditions.some(({ reason }) => reason === 'WorkerDraining');
  const maxPods = runtimes.reduce((sum, runtime) => sum + (lanes[runtime] ?? 0), 0);
  const capacity = { ...amountsOf(details.resources), pods: String(maxPods) };
  const startedMs = parseTime(details.startedAt);
  const host = details.hostname ?? record.name;
  const changes = [
    startedMs,
    ...conditions.map(({ lastTransitionTime }) => parseTime(lastTransitionTime)),
    isSilent ? record.leaseEndMs : null,
    record.cordon?.sinceMs ?? null,
  ];
  const changedMs = Math.max(0, ...changes.filter((ms) => ms !== null));
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: record.name,
      namespace: '',
      uid: uidOf(record.name, details.startedAt ?? ''),
      resourceVersion: formatVersion(changedMs * VERSIONS_PER_MS),
      ...(startedMs === null ? {} : { creationTimestamp: formatTime(startedMs) }),
      labels: { [POOL_LABEL]: pool, 'kubernetes.io/hostname': host },
      annotations: {
        'drover.dev/runtimes': runtimes.join(','),
        ...(handlers.length === 0 ? {} : { 'drover.dev/handlers': handlers.join(',') }),
        ...(details.pid === undefined ? {} : { 'drover.dev/pid': String(details.pid) }),
      },
    },
    spec: isDraining || record.cordon?.isCordoned === true ? { unschedulable: true } : {},
    status: {
      capacity,
      allocatable: capacity,
      conditions: isSilent ? conditions.map(asUnknown) : conditions,
      addresses: [{ type: 'Hostname', address: host }],
      nodeInfo: {
        kubeletVersion: details.version ?? '',
        operatingSystem: '',
        architecture: '',
        bootID: '',
        containerRuntimeVersion: '',
        kernelVersion: '',
        kubeProxyVersion: '',
        machineID: '',
        osImage: '',
        systemUUID: '',
      },
    },
  };
}

/** As Kubernetes writes them. */
function amountsOf(resources: ComputeResources | undefined): Record<string, string> {
  if (resources === undefined) return {};
  const cpuNano = BigInt(resources.cpuMilli) * 1_000_000n;
  const memoryNano = BigInt(resources.memoryBytes) * 1_000_000_000n;
  return {
    cpu: formatQuantity({ nano: cpuNano, format: 'DecimalSI' }),
    memory: formatQuantity({ nano: memoryNano, format: 'BinarySI' }),
  };
}

/** A worker of the same name that was started later is another one. */
function uidOf(name: string, startedAt: string): string {
  const hex = createHash('sha256').update(`${name}\n${startedAt}`).digest('hex');
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
  ];
  return [...parts, hex.slice(20, 32)].join('-');
}

function asUnknown(condition: NodeCondition): NodeCondition {
  return {
    ...condition,
    status: 'Unknown',
    reason: 'NodeStatusUnknown',
    message: 'the worker has stopped to say that it is there',
  };
}
