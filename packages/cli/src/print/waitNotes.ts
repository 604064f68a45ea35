import {
  parseTime,
  terminalCondition,
  WORK_QUEUE_ANNOTATION,
  type Job,
  type Pod,
} from '@drover/shared';

import type { Client } from '../client.ts';
import type { Printable } from './printer.ts';

/** Of more Jobs than these it is not asked why they wait. */
const MAX_JOBS = 20;
/** A Job may be new to every controller for so long. */
const NEW_MS = 3_000;
/** What only a person can mend; the rest passes by itself. */
const TOLD: ReadonlySet<string> = new Set(['NoController', 'NoWorkerFits', 'NoWorkQueue']);

/** In words what keeps listed Jobs and pods from running, where somebody has to do something. */
export async function waitNotes(
  client: Client,
  objects: readonly Printable[],
  nowMs: number,
): Promise<string[]> {
  const jobs = objects.filter((object): object is Job => object.kind === 'Job');
  const pods = objects.filter((object): object is Pod => object.kind === 'Pod');
  const notes: string[] = [];
  for (const job of jobs.filter((candidate) => mayWait(candidate, nowMs)).slice(0, MAX_JOBS)) {
    // Gone meanwhile: then it waits for nothing.
    const reasons = await client.jobs.whyWaiting(job).catch(() => []);
    const { name } = job.metadata;
    const told = reasons.filter(({ reason }) => TOLD.has(reason));
    notes.push(...told.map(({ message }) => `job/${name}: ${message}`));
  }
  return [...notes, ...podNotes(pods)];
}

function mayWait({ metadata, status }: Job, nowMs: number): boolean {
  if (terminalCondition(status.conditions) !== null) return false;
  const { active = 0, ready = 0 } = status;
  const namesQueue = metadata.annotations?.[WORK_QUEUE_ANNOTATION] !== undefined;
  if (status.startTime !== undefined) return active > ready || (namesQueue && active === 0);
  return nowMs - (parseTime(metadata.creationTimestamp) ?? nowMs) > NEW_MS;
}

/** One note for all pods that wait for the same. */
function podNotes(pods: readonly Pod[]): string[] {
  const counts = new Map<string, number>();
  for (const { status } of pods) {
    const scheduled = status.conditions?.find(({ type }) => type === 'PodScheduled');
    const message = scheduled?.status === 'False' ? (scheduled.message ?? '') : '';
    if (!message.startsWith('no worker')) continue;
    counts.set(message, (counts.get(message) ?? 0) + 1);
  }
  return [...counts].map(
    ([message, count]) => `${count === 1 ? '1 pod waits' : `${count} pods wait`}: ${message}`,
  );
}
