import type { CronJobEvidence, Violation } from './evidence.ts';

/** Each time of a CronJob has one Job, those that were missed while nobody was there included. */
export function checkCronJob(cronJob: CronJobEvidence): Violation[] {
  const { name, everyMs, startedForMs, fromMs, untilMs } = cronJob;
  const messages: string[] = [];
  for (const [i, atMs] of startedForMs.entries()) {
    const before = startedForMs[i - 1];
    if (before === undefined || atMs - before === everyMs) continue;
    const text = atMs === before ? 'two Jobs' : 'no Job before it';
    messages.push(`${new Date(atMs).toISOString()} has ${text}`);
  }
  const [first] = startedForMs;
  const last = startedForMs.at(-1);
  const isLong = untilMs - fromMs > 2 * everyMs;
  if (isLong && (first === undefined || first > fromMs + 2 * everyMs)) {
    messages.push('its first Job came too late');
  }
  if (isLong && (last === undefined || last < untilMs - 2 * everyMs)) {
    messages.push('its last times have no Job');
  }
  return messages.map((message) => ({ rule: 'cron', about: name, message }));
}
