import type { ObjectMeta } from './meta.ts';

/** A condition of a node. */
export interface NodeCondition {
  /** `Ready`. */
  readonly type: string;
  /** Whether it holds; Unknown when the worker was not heard of in time. */
  readonly status: 'True' | 'False' | 'Unknown';
  /** When the worker was last heard of. RFC 3339, seconds. */
  readonly lastHeartbeatTime?: string;
  /** When the status changed. RFC 3339, seconds. */
  readonly lastTransitionTime?: string;
  /** Why, in one word. */
  readonly reason?: string;
  /** Why, for people. */
  readonly message?: string;
}

/** A worker, as the API shows it. */
export interface Node {
  readonly apiVersion: 'v1';
  readonly kind: 'Node';
  /** The name is the worker's; labels name pool and runtimes. */
  readonly metadata: ObjectMeta;
  readonly spec: {
    /** It drains: it takes no new pods. */
    readonly unschedulable?: boolean;
  };
  readonly status: {
    /** What it offers: `pods` is its number of lanes. */
    readonly capacity?: Readonly<Record<string, string>>;
    /** What of it is offered to pods. */
    readonly allocatable?: Readonly<Record<string, string>>;
    readonly conditions?: readonly NodeCondition[];
    /** Where it can be reached: its host name. */
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly nodeInfo?: {
      /** Version of Drover. */
      readonly kubeletVersion: string;
      /** Such as `linux`. */
      readonly operatingSystem: string;
      /** Such as `amd64`. */
      readonly architecture: string;
      /** Empty, like those below: clients want them to be there. */
      readonly bootID: string;
      readonly containerRuntimeVersion: string;
      readonly kernelVersion: string;
      readonly kubeProxyVersion: string;
      readonly machineID: string;
      readonly osImage: string;
      readonly systemUUID: string;
    };
  };
}

/** The STATUS column of nodes. */
export function nodeStatusWord({ spec, status }: Node): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready?.status === 'True') {
    return spec.unschedulable === true ? 'Ready,SchedulingDisabled' : 'Ready';
  }
  return ready?.reason === 'WorkerDraining' ? 'NotReady,Draining' : 'NotReady';
}
