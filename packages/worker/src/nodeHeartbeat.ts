import type { ComputeResources } from '@drover/shared';
import type { NodeStore } from '@drover/store';
import type { Logger } from 'pino';

/** What a worker says of itself; JSON in the node registry. */
export interface NodeDetails {
  readonly name: string;
  readonly pool: string;
  readonly runtimes: readonly string[];
  readonly handlers: readonly string[];
  /** Pods at a time by runtime. */
  readonly lanes: Readonly<Record<string, number>>;
  /** What its pods may request together. */
  readonly resources: ComputeResources;
  readonly version: string;
  readonly pid: number;
  readonly hostname: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly conditions: readonly NodeCondition[];
}

/** As a Node's status.conditions. */
export interface NodeCondition {
  readonly type: 'Ready';
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
  /** ISO 8601. */
  readonly lastTransitionTime: string;
}

/** Between two writes. The lease decides who runs pods, not this: it is for those who look. */
const PUT_INTERVAL_MS = 5_000;
/** After a write that failed. */
const RETRY_MS = 500;
/** A record without a write for this long counts as gone. */
const PUT_TTL_MS = 20_000;

/** Makes a call on the node registry. It must end, if by an error: the next write waits for it. */
export type CallNodes = (call: (nodes: NodeStore) => Promise<void>) => Promise<void>;

/** Makes it take no pods, or take them again; told of every look, not only of changes. */
export type OnCordon = (isCordoned: boolean) => Promise<void>;

/** Keeps the worker's record in the node registry. */
export class NodeHeartbeat {
  readonly #call: CallNodes;
  readonly #logger: Logger;
  readonly #intervalMs: number;
  readonly #onCordon: OnCordon;
  #details: NodeDetails;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(
    call: CallNodes,
    details: Omit<NodeDetails, 'conditions'>,
    logger: Logger,
    onCordon: OnCordon,
    intervalMs = PUT_INTERVAL_MS,
  ) {
    this.#onCordon = onCordon;
    this.#call = call;
    this.#logger = logger;
    this.#intervalMs = intervalMs;
    this.#details = { ...details, conditions: [ready('True', 'WorkerReady', 'takes pods')] };
  }

  /** Writes the record now and every few seconds. A write that fails is made again: the worker runs without it. */
  async start(): Promise<void> {
    await this.#beat();
  }

  /** Looks whether the node is to take pods: a hint came, or the time. */
  async look(): Promise<void> {
    if (this.#closed) return;
    await this.#call(async (nodes) => {
      await this.#onCordon(await nodes.isCordoned(this.#details.name));
    });
  }

  /** Shows that the node takes no more pods. */
  async drain(): Promise<void> {
    this.#details = {
      ...this.#details,
      conditions: [ready('False', 'WorkerDraining', 'takes no new pods and ends those it has')],
    };
    await this.#put();
  }

  /** Removes the record, with `remove`, or leaves it to its expiry. */
  async close(remove: boolean): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (remove) await this.#call((nodes) => nodes.remove(this.#details.name));
  }

  async #beat(): Promise<void> {
    let isWritten = true;
    try {
      await this.#put();
    } catch (error) {
      isWritten = false;
      this.#logger.debug({ err: error }, 'node record not written');
    }
    if (this.#closed) return;
    const afterMs = isWritten ? this.#intervalMs : Math.min(RETRY_MS, this.#intervalMs);
    this.#timer = setTimeout(() => void this.#beat(), afterMs);
  }

  async #put(): Promise<void> {
    if (this.#closed) return;
    const { name } = this.#details;
    const details = JSON.stringify(this.#details);
    await this.#call((nodes) => nodes.put(name, details, PUT_TTL_MS));
    await this.look();
  }
}

function ready(status: 'True' | 'False', reason: string, message: string): NodeCondition {
  return { type: 'Ready', status, reason, message, lastTransitionTime: new Date().toISOString() };
}
