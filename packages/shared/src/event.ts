/** Events: what happened to an object, as core/v1 has it. They are kept for an hour, and only so many. */

import * as z from 'zod';

import { invalid, tooLong, type ValidationIssue } from './issues.ts';
import { ObjectMeta } from './meta.ts';
import type { ObjectKind } from './objectKind.ts';
import { byteLength } from './utf8.ts';

/** Names an object that an event is about. */
export interface InvolvedObject {
  readonly apiVersion: string;
  readonly kind: string;
  /** Of an object without a namespace, a Node say, events lie in `default`. */
  readonly namespace?: string;
  readonly name: string;
  readonly uid: string;
  /** Version of the object at that time, when a client said so. */
  readonly resourceVersion?: string;
  /** The part of the object, when a client said so: `spec.containers{main}`. */
  readonly fieldPath?: string;
}

/** Something that happened to an object, or the same thing several times: an Event of core/v1. */
export interface CoreV1Event {
  readonly apiVersion: 'v1';
  readonly kind: 'Event';
  /** Its name is the object's with a hash of what makes it this event, or what a client chose. */
  readonly metadata: ObjectMeta & {
    readonly resourceVersion: string;
    readonly creationTimestamp: string;
  };
  /** What it happened to. */
  readonly involvedObject: InvolvedObject;
  readonly type: 'Normal' | 'Warning';
  /** What happened, in a word: `SuccessfulCreate`. */
  readonly reason: string;
  /** What happened, for people; of several times, the last. */
  readonly message: string;
  /** Who says so. */
  readonly source: { readonly component: string; readonly host?: string };
  /** How often it happened, >= 1. */
  readonly count: number;
  /** When first. RFC 3339. */
  readonly firstTimestamp: string;
  /** When last. RFC 3339. */
  readonly lastTimestamp: string;
  readonly reportingComponent: string;
  /** The host; empty for a controller. */
  readonly reportingInstance: string;
  /** When it happened first, with microseconds, when a client said so. */
  readonly eventTime?: string;
  /** It goes on happening, when a client said so: how often it did, and when last. */
  readonly series?: { readonly count: number; readonly lastObservedTime: string };
  /** What was done, when a client said so. */
  readonly action?: string;
  /** Another object that has to do with it, when a client said so. */
  readonly related?: z.output<typeof EventReference>;
}

/** Names an object in an event. */
export const EventReference = z.strictObject({
  /** Group and version. */
  apiVersion: z.string().optional(),
  /** As in manifests. */
  kind: z.string().optional(),
  /** Empty for an object without one. */
  namespace: z.string().optional(),
  /** Its name. */
  name: z.string().optional(),
  /** Its uid. */
  uid: z.string().optional(),
  /** Its version at that time. */
  resourceVersion: z.string().optional(),
  /** The part of it. */
  fieldPath: z.string().optional(),
});

/** Who says that something happened. */
export const EventSource = z.strictObject({
  /** What it is. */
  component: z.string().optional(),
  /** Where it runs. */
  host: z.string().optional(),
});

/** An Event of core/v1 as a client writes it. */
export const ClientEvent = z.strictObject({
  /** `v1`. */
  apiVersion: z.literal('v1').default('v1'),
  /** `Event`. */
  kind: z.literal('Event').default('Event'),
  /** Name, labels and the like. */
  metadata: ObjectMeta.prefault({}),
  /** What it happened to. */
  involvedObject: EventReference.prefault({}),
  /** What happened, in a word. */
  reason: z.string().default(''),
  /** What happened, for people; at most 1,024 characters are kept. */
  message: z.string().default(''),
  /** Who says so. */
  source: EventSource.optional(),
  /** When first. RFC 3339. */
  firstTimestamp: z.string().optional(),
  /** When last. RFC 3339. */
  lastTimestamp: z.string().optional(),
  /** How often. */
  count: z.int().min(0).optional(),
  /** Default Normal. */
  type: z.enum(['Normal', 'Warning']).default('Normal'),
  /** When it happened first, with microseconds. */
  eventTime: z.string().optional(),
  /** It goes on happening. */
  series: z
    .strictObject({
      /** How often it did. */
      count: z.int().min(0).default(0),
      /** When last, with microseconds. */
      lastObservedTime: z.string().default(''),
    })
    .optional(),
  /** What was done. */
  action: z.string().default(''),
  /** Another object that has to do with it. */
  related: EventReference.optional(),
  /** Who says so. */
  reportingComponent: z.string().default(''),
  /** Which of them. */
  reportingInstance: z.string().default(''),
});
/** An Event of core/v1 as a client writes it. */
export type ClientEvent = z.output<typeof ClientEvent>;

/** Events that clients write, as a kind. */
export const EVENT_KIND: ObjectKind<ClientEvent> = {
  kind: 'Event',
  apiVersion: 'v1',
  resource: 'events',
  schema: ClientEvent,
  issues: eventIssues,
  changeIssues: () => [],
  settle: (event) => ({ ...event, message: event.message.slice(0, MAX_EVENT_MESSAGE_CHARS) }),
  hidden: [],
};

/** Longest message that is kept, as in Kubernetes. */
export const MAX_EVENT_MESSAGE_CHARS = 1_024;
/** Largest event that is taken: 10,000 of them are kept. */
const MAX_EVENT_BYTES = 16 * 1_024;
/** Longest word for what happened and who says so, as in Kubernetes. */
const MAX_WORD_CHARS = 128;

/** What is wrong with an event, beside its structure and metadata. */
export function eventIssues(event: ClientEvent): ValidationIssue[] {
  const { metadata, involvedObject, firstTimestamp, lastTimestamp, eventTime, series } = event;
  const issues: ValidationIssue[] = [];
  const own = involvedObject.namespace ?? '';
  if (own !== '' && own !== metadata.namespace) {
    const detail = 'does not match event.namespace';
    issues.push(invalid('involvedObject.namespace', own, detail));
  }
  const times = { firstTimestamp, lastTimestamp, eventTime };
  const all = { ...times, 'series.lastObservedTime': series?.lastObservedTime };
  for (const [path, time] of Object.entries(all)) {
    if (time !== undefined && !isTime(time)) {
      issues.push(invalid(path, time, 'must be a time as in RFC 3339'));
    }
  }
  for (const path of ['reason', 'action', 'reportingComponent', 'reportingInstance'] as const) {
    if (event[path].length > MAX_WORD_CHARS) issues.push(tooLong(path, MAX_WORD_CHARS));
  }
  const kept = { ...event, message: event.message.slice(0, MAX_EVENT_MESSAGE_CHARS) };
  if (byteLength(JSON.stringify(kept)) > MAX_EVENT_BYTES) {
    issues.push(tooLong('metadata', MAX_EVENT_BYTES));
  }
  return issues;
}

function isTime(text: string): boolean {
  return (
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text) &&
    !Number.isNaN(Date.parse(text))
  );
}

/** What is said of several things that happened as one, in Kubernetes' words. */
export const COMBINED_PREFIX = '(combined from similar events): ';

/** How long an event is kept after it happened last, unless a controller says otherwise, ms. */
export const DEFAULT_EVENT_TTL_MS = 3_600_000;
