import {
  cronCalendarOf,
  nextFiring,
  formatTime,
  type CoreV1Event,
  type CronJob,
  type CronJobSpec,
} from '@drover/shared';

import { containerEntries } from './containers.ts';
import { eventLines } from './events.ts';
import { ownerEntries } from './job.ts';
import {
  annotationLines,
  formatEntries,
  mapLines,
  timeText,
  type Entry,
  type Value,
} from './layout.ts';

/** Describes a CronJob as `kubectl describe` does, and says when it is due next. Pure. */
export function describeCronJob(
  cronJob: CronJob,
  events: readonly CoreV1Event[],
  nowMs: number,
): string[] {
  const { metadata, spec, status } = cronJob;
  const unset = (value: number | undefined, unit = ''): string =>
    value === undefined ? '<unset>' : `${value}${unit}`;
  return formatEntries([
    ['Name', metadata.name],
    ['Namespace', metadata.namespace],
    ['UID', metadata.uid],
    ['Labels', mapLines(metadata.labels)],
    ['Annotations', annotationLines(metadata.annotations)],
    ...ownerEntries(metadata),
    ['Schedule', spec.schedule],
    ['Time Zone', spec.timeZone ?? '<unset>'],
    ['Concurrency Policy', spec.concurrencyPolicy],
    ['Suspend', spec.suspend ? 'True' : 'False'],
    ['Successful Job History Limit', String(spec.successfulJobsHistoryLimit)],
    ['Failed Job History Limit', String(spec.failedJobsHistoryLimit)],
    ['Starting Deadline Seconds', unset(spec.startingDeadlineSeconds, 's')],
    ...templateEntries(spec),
    ['Last Schedule Time', timeText(status.lastScheduleTime)],
    ['Last Successful Time', timeText(status.lastSuccessfulTime)],
    ['Next Schedule Time', nextText(cronJob, nowMs)],
    ['Active Jobs', activeValue(cronJob)],
    ['Events', events.length === 0 ? '<none>' : { part: eventLines(events, nowMs) }],
  ]);
}

function templateEntries({ jobTemplate }: CronJobSpec): Entry[] {
  const { parallelism, completions, activeDeadlineSeconds, template } = jobTemplate.spec;
  const part = formatEntries([
    ['Labels', mapLines(template.metadata.labels)],
    ...containerEntries(template.spec, null),
  ]);
  return [
    ['Parallelism', parallelism === undefined ? '<unset>' : String(parallelism)],
    ['Completions', completions === undefined ? '<unset>' : String(completions)],
    ...(activeDeadlineSeconds === undefined
      ? []
      : ([['Active Deadline', `${activeDeadlineSeconds}s`]] satisfies Entry[])),
    ['Pod Template', { part }],
  ];
}

function nextText(cronJob: CronJob, nowMs: number): string {
  if (cronJob.spec.suspend) return '<none>: it is suspended';
  const reading = cronCalendarOf(cronJob);
  if (!reading.ok) return `<none>: ${reading.why}`;
  const next = nextFiring(reading.calendar, nowMs);
  return next === undefined ? '<none>: not within five years' : timeText(formatTime(next.fireAtMs));
}

function activeValue({ status }: CronJob): Value {
  const names = (status.active ?? []).map(({ name }) => name);
  return names.length === 0 ? '<none>' : names;
}
