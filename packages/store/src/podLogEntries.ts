import { choose } from './replies.ts';
import { defineScripts, runScript, type ScriptArgument } from './scripts.ts';
import type { RedisClient } from './redisClient.ts';

/** Most entries that are added at once, so that nothing waits for long in Redis. */
export const MAX_LOG_ENTRIES_PER_CALL = 500;

/** An entry of a pod's log, see LogField. */
export interface PodLogEntry {
  /** `<ms>-<n>`, made by the writer; they only grow. */
  readonly id: string;
  /** Container name; empty in the end marker. */
  readonly container: string;
  /** One of LogKind. */
  readonly kind: string;
  /** Run of the container in its pod: 0, and one more with each restart. */
  readonly run: number;
  /** When its first byte came. ms since the epoch. */
  readonly timeMs: number;
  /** The bytes. */
  readonly data: Buffer;
}

/** What changes in a pod's log at once. */
export interface PodLogChange {
  /** The writer's first entries: whatever the stream holds goes. */
  readonly isFirst: boolean;
  /** Entries before this id go; null = none. */
  readonly minId: string | null;
  /** Further entries that go. */
  readonly removedIds: readonly string[];
  /** New ones, oldest first; at most {@link MAX_LOG_ENTRIES_PER_CALL}. */
  readonly entries: readonly PodLogEntry[];
}

/**
 * Adds to the log of a pod, as its only writer. May be called again when no answer came.
 *
 * @param key - See podLogKey.
 * @returns `deleted`: it was removed with its pod, and nothing was written.
 */
export async function writePodLog(
  redis: RedisClient,
  key: string,
  { isFirst, minId, removedIds, entries }: PodLogChange,
): Promise<'written' | 'deleted'> {
  defineScripts(redis);
  const args: ScriptArgument[] = [isFirst ? 1 : 0, minId ?? '', removedIds.length, ...removedIds];
  for (const { id, container, kind, run, timeMs, data } of entries) {
    args.push(id, container, kind, run, timeMs, data);
  }
  return choose(await runScript(redis, 'writeLog', [key], args), {
    '1': 'written',
    '-1': 'deleted',
  });
}
