import type { QueueEvidence, Violation } from './evidence.ts';

/** No accepted item is lost, each is settled once, and a result is of a run that came to its end. */
export function checkQueue(queue: QueueEvidence): Violation[] {
  const { name, accepted, completed, dead, runs, isAbandoned } = queue;
  const messages: string[] = [];
  const settled = Map.groupBy([...completed.map(({ id }) => id), ...dead], (id) => id);
  for (const [id, times] of settled) {
    if (times.length > 1) messages.push(`item ${id} was settled ${times.length} times`);
    if (id < 1 || id > accepted) messages.push(`item ${id} was never enqueued`);
  }
  const missing = Array.from({ length: accepted }, (_, i) => i + 1).filter(
    (id) => !settled.has(id),
  );
  if (missing.length > 0 && !isAbandoned) {
    messages.push(`items ${missing.join()} of ${accepted} were never settled`);
  }
  const well = new Set(runs.filter(({ outcome }) => outcome === 'ok').map(({ id }) => id));
  for (const { id, resultId } of completed) {
    if (resultId !== id) messages.push(`the result of item ${id} is of item ${resultId}`);
    if (!well.has(id)) messages.push(`item ${id} is completed, and no run of it came to its end`);
  }
  return messages.map((message) => ({ rule: 'items', about: name, message }));
}
