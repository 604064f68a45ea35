/** The Jobs that are made of a CronJob. */

import { DEFAULT_TIME_ZONE } from './cron/firings.ts';
import { zoneOffsetMs } from './cron/timeZone.ts';
import type { CronJob } from './cronJob.ts';
import { INSTANTIATE_ANNOTATION, SCHEDULED_ANNOTATION } from './generated.ts';
import type { JobInput } from './job.ts';
import type { OwnerReference } from './meta.ts';

const MINUTE_MS = 60_000;

/**
 * The name of the Job for a time: that of the CronJob and the minutes since the epoch, as in Kubernetes. A time that
 * is no whole minute, of `@every` with seconds, has the seconds since the epoch, which have two digits more: no two
 * times share a name.
 */
export function cronJobJobName(name: string, slotMs: number): string {
  return `${name}-${slotMs % MINUTE_MS === 0 ? slotMs / MINUTE_MS : slotMs / 1000}`;
}

/** The Job for a time of the schedule, as one would write it. */
export function scheduledJobOf(cronJob: CronJob, slotMs: number): JobInput {
  const { metadata, spec } = cronJob;
  const time = zonedTime(slotMs, spec.timeZone ?? DEFAULT_TIME_ZONE);
  return jobOf(cronJob, { name: cronJobJobName(metadata.name, slotMs) }, [
    SCHEDULED_ANNOTATION,
    time,
  ]);
}

/**
 * A Job of the template that is made by hand, as `kubectl create job --from` makes it.
 *
 * @param name - Default: that of the CronJob with `-manual-` and five random characters.
 */
export function manualJobOf(cronJob: CronJob, name?: string): JobInput {
  const named =
    name === undefined ? { generateName: `${cronJob.metadata.name}-manual-` } : { name };
  return jobOf(cronJob, named, [INSTANTIATE_ANNOTATION, 'manual']);
}

function jobOf(
  cronJob: CronJob,
  named: { readonly name: string } | { readonly generateName: string },
  [annotation, value]: readonly [string, string],
): JobInput {
  const { metadata, spec } = cronJob.spec.jobTemplate;
  return {
    metadata: {
      ...named,
      namespace: cronJob.metadata.namespace,
      labels: metadata.labels,
      annotations: { ...metadata.annotations, [annotation]: value },
      ownerReferences: [referenceTo(cronJob)],
    },
    spec,
  };
}

/** A CronJob as the owner of its Jobs. */
function referenceTo({ metadata: { name, uid } }: CronJob): OwnerReference {
  return {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    name,
    uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** RFC 3339 by the clock of a zone: `2026-07-01T09:00:00+02:00`. */
function zonedTime(atMs: number, zone: string): string {
  const minutes = Math.round(zoneOffsetMs(zone, atMs) / MINUTE_MS);
  const wall = new Date(atMs + minutes * MINUTE_MS).toISOString().slice(0, -'.000Z'.length);
  if (minutes === 0) return `${wall}Z`;
  const two = (number: number) => String(number).padStart(2, '0');
  const ahead = Math.abs(minutes);
  return `${wall}${minutes < 0 ? '-' : '+'}${two(Math.floor(ahead / 60))}:${two(ahead % 60)}`;
}
