import * as z from 'zod';

import { DroverError, InvalidSpecError, TerminalError, type DroverErrorOptions } from './errors.ts';
import { invalid, type ValidationIssue } from './issues.ts';
import { ObjectMeta, objectMetaIssues } from './meta.ts';
import { dnsLabelProblems } from './names.ts';
import { parseLenient, parseStructure, withoutNulls } from './structure.ts';

const DAY_SECONDS = 86_400;
const MIB = 1024 * 1024;
/** BullMQ's lowest priority. */
const MAX_PRIORITY = 2_097_152;
/** A longer time is not a timer any more. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** What a work queue is to be like. */
export const WorkQueueSpec = z.strictObject({
  /**
   * How long results and the order of completion are kept after the last item was settled, seconds. 60 to ten years;
   * default 7 days.
   */
  resultTtlSeconds: z
    .int()
    .min(60)
    .max(3_650 * DAY_SECONDS)
    .default(7 * DAY_SECONDS),
  /**
   * How many bytes of results and of the order of completion are kept, about: the oldest go first. 1 MiB to 64 GiB;
   * default 256 MiB.
   */
  maxResultBytes: z
    .int()
    .min(MIB)
    .max(64 * 1024 * MIB)
    .default(256 * MIB),
});
/** What a work queue is to be like. */
export type WorkQueueSpec = z.output<typeof WorkQueueSpec>;

/** How far a work queue is. Set by the store. */
export const WorkQueueStatus = z.strictObject({
  /** When it was sealed, so that no more items can come; RFC 3339. Missing while it is open. */
  sealedTime: z.string().optional(),
  /** Whether it is sealed and every item is settled. */
  allDone: z.boolean(),
  /** Items that were ever enqueued. */
  enqueued: z.int(),
  /** Items that were completed. */
  completed: z.int(),
  /** Dead-lettered items that are kept. */
  dead: z.int(),
  /** Dead-lettered items that were enqueued again. */
  retried: z.int(),
  /** Items that were removed before they ran. */
  cleared: z.int(),
  /** Items whose producer died before it had handed them over. */
  abandoned: z.int(),
  /** Items that are not settled: they wait, are delayed, or in flight. */
  unsettled: z.int(),
});
/** How far a work queue is. */
export type WorkQueueStatus = z.output<typeof WorkQueueStatus>;

/** A queue of items for the pods of work-queue Jobs. */
export const WorkQueue = z.strictObject({
  /** `drover.dev/v1`. */
  apiVersion: z.literal('drover.dev/v1').default('drover.dev/v1'),
  /** `WorkQueue`. */
  kind: z.literal('WorkQueue').default('WorkQueue'),
  /** Name, labels and the like. */
  metadata: ObjectMeta.prefault({}),
  /** What it is to be like. */
  spec: WorkQueueSpec.prefault({}),
  /** How far it is. Set by the store. */
  status: WorkQueueStatus.optional(),
});
/** A queue of items for the pods of work-queue Jobs. */
export type WorkQueue = z.output<typeof WorkQueue>;

/** How BullMQ waits before it tries an item again. */
export const ItemBackoff = z.strictObject({
  /** `exponential` doubles with each attempt. */
  type: z.enum(['fixed', 'exponential']),
  /** ms before the second attempt. */
  delay: z.int().min(0).max(MAX_DELAY_MS),
});

/** How often an item is tried, and the time between, where nothing else is said. */
export const DEFAULT_ITEM_RETRY = {
  attempts: 3,
  backoff: { type: 'exponential', delay: 1_000 },
} as const;

/** How items are run. */
export const ItemOptions = z.strictObject({
  /** 0 (the default) goes first, then 1, 2 ... up to 2,097,152. */
  priority: z.int().min(0).max(MAX_PRIORITY).default(0),
  /** ms until an item may be run. Default 0. */
  delay: z.int().min(0).max(MAX_DELAY_MS).default(0),
  /** How often an item is tried before it is dead-lettered, 1 to 1000. Default 3. */
  attempts: z.int().min(1).max(1_000).default(DEFAULT_ITEM_RETRY.attempts),
  /** Time between attempts. Default: exponential from 1 s. */
  backoff: ItemBackoff.default(DEFAULT_ITEM_RETRY.backoff),
});
/** How items are run. */
export type ItemOptions = z.output<typeof ItemOptions>;

/**
 * Parses a work queue that a user gave.
 *
 * @param namespace - That of the request.
 * @throws InvalidSpecError with everything that is wrong with it.
 */
export function parseWorkQueue(input: unknown, namespace: string): WorkQueue {
  const raw = withoutNulls(input);
  if (typeof raw === 'object' && raw !== null && 'status' in raw) delete raw.status;
  const { value, issues, isSound } = parseStructure(WorkQueue, raw, () => '');
  const wanted = value.metadata.namespace || namespace;
  const queue = { ...value, metadata: { ...value.metadata, namespace: wanted } };
  const { name } = queue.metadata;
  const found = objectMetaIssues(queue.metadata, 'metadata');
  if (name !== '' && found.length === 0) {
    // It is part of the names of keys and, later, of paths.
    for (const problem of dnsLabelProblems(name))
      found.push(invalid('metadata.name', name, problem));
  }
  const all = [...issues, ...found.filter(({ path }) => isSound(path))];
  if (all.length > 0) throw new InvalidSpecError('WorkQueue.drover.dev', name || '<unnamed>', all);
  return queue;
}

/** Reads a work queue from storage. @throws TerminalError when it is none. */
export function readWorkQueue(input: unknown): WorkQueue {
  const queue = parseLenient(WorkQueue, input);
  if (queue === null)
    throw new TerminalError('the stored WorkQueue can not be read by this version');
  return queue;
}

/**
 * Parses how items are to be run.
 *
 * @throws InvalidSpecError with everything that is wrong with it.
 */
export function parseItemOptions(input: unknown, queueName: string): ItemOptions {
  const { value, issues } = parseStructure(ItemOptions, { ...(input as object) }, () => '');
  if (issues.length > 0)
    throw new InvalidSpecError('options of items of WorkQueue', queueName, issues);
  return value;
}

/** Items that can't be enqueued; says which and why. None of those it speaks of were enqueued. */
export class InvalidItemsError extends InvalidSpecError {
  /** @param issues - With paths such as `items[3].customer`. */
  constructor(queueName: string, issues: readonly ValidationIssue[]) {
    super('items of WorkQueue', queueName, issues);
  }
}

/** The work queue takes no more items: it was sealed. */
export class SealedError extends DroverError {
  constructor(queueName: string, options: DroverErrorOptions = {}) {
    super(
      'SEALED',
      `WorkQueue "${queueName}" is sealed: it takes no more items. Use another one`,
      options,
    );
  }
}
