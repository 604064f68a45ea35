/** Events as events.k8s.io/v1 has them: the same as those of core/v1, in other words. */

import * as z from 'zod';

import {
  type ClientEvent,
  eventIssues,
  EventReference,
  EventSource,
  MAX_EVENT_MESSAGE_CHARS,
  type CoreV1Event,
} from './event.ts';
import { required, tooLong, type ValidationIssue } from './issues.ts';
import { ObjectMeta } from './meta.ts';
import type { ObjectKind } from './objectKind.ts';

/** An Event of events.k8s.io/v1. */
export const EventV1 = z.strictObject({
  /** `events.k8s.io/v1`. */
  apiVersion: z.literal('events.k8s.io/v1').default('events.k8s.io/v1'),
  /** `Event`. */
  kind: z.literal('Event').default('Event'),
  /** Name, labels and the like. */
  metadata: ObjectMeta.prefault({}),
  /** When it happened first, with microseconds. */
  eventTime: z.string().default(''),
  /** It goes on happening: how often it did, and when last. */
  series: z
    .strictObject({
      /** How often it did, >= 2. */
      count: z.int().min(0).default(0),
      /** When last, with microseconds. */
      lastObservedTime: z.string().default(''),
    })
    .optional(),
  /** Who says so. */
  reportingController: z.string().default(''),
  /** Which of them. */
  reportingInstance: z.string().default(''),
  /** What was done. */
  action: z.string().default(''),
  /** What happened, in a word. */
  reason: z.string().default(''),
  /** What it happened to. */
  regarding: EventReference.prefault({}),
  /** Another object that has to do with it. */
  related: EventReference.optional(),
  /** What happened, for people; at most 1,024 characters. */
  note: z.string().default(''),
  /** Normal or Warning. */
  type: z.enum(['Normal', 'Warning']).default('Normal'),
  /** Who says so, in core/v1. */
  deprecatedSource: EventSource.optional(),
  /** When first, in core/v1. */
  deprecatedFirstTimestamp: z.string().optional(),
  /** When last, in core/v1. */
  deprecatedLastTimestamp: z.string().optional(),
  /** How often, in core/v1. */
  deprecatedCount: z.int().min(0).optional(),
});
/** An Event of events.k8s.io/v1. */
export type EventV1 = z.output<typeof EventV1>;

/** Events of events.k8s.io/v1 that clients write, as a kind. */
export const EVENT_V1_KIND: ObjectKind<EventV1> = {
  kind: 'Event',
  apiVersion: 'events.k8s.io/v1',
  resource: 'events.events.k8s.io',
  schema: EventV1,
  issues: (event) => {
    const issues: ValidationIssue[] = [];
    for (const path of NEEDED) if (event[path] === '') issues.push(required(path));
    if (event.note.length > MAX_EVENT_MESSAGE_CHARS) {
      issues.push(tooLong('note', MAX_EVENT_MESSAGE_CHARS));
    }
    const own = eventIssues(toClientEvent(event)).map((issue) => ({
      ...issue,
      path: issue.path
        .replace(/^involvedObject/, 'regarding')
        .replace(/^reportingComponent$/, 'reportingController')
        .replace(
          /^(first|last)Timestamp$/,
          (name) => `deprecated${name[0]!.toUpperCase()}${name.slice(1)}`,
        ),
    }));
    // What is not there is no bad time.
    return [...issues, ...own.filter(({ path }) => path !== 'eventTime' || event.eventTime !== '')];
  },
  changeIssues: () => [],
  hidden: [],
};

const NEEDED = [
  'eventTime',
  'reportingController',
  'reportingInstance',
  'action',
  'reason',
] as const;

/** The same event as core/v1 has it. */
export function toClientEvent(event: EventV1): ClientEvent {
  const { apiVersion: _group, regarding, note, reportingController, ...rest } = event;
  const { deprecatedSource, deprecatedFirstTimestamp, deprecatedLastTimestamp, ...others } = rest;
  const { deprecatedCount, ...same } = others;
  return {
    ...same,
    apiVersion: 'v1',
    involvedObject: regarding,
    message: note,
    reportingComponent: reportingController,
    source: deprecatedSource,
    firstTimestamp: deprecatedFirstTimestamp,
    lastTimestamp: deprecatedLastTimestamp,
    count: deprecatedCount,
  };
}

/** An event as events.k8s.io/v1 has it. */
export function toEventV1(event: CoreV1Event): EventV1 {
  const { metadata, involvedObject, source, firstTimestamp, lastTimestamp, count } = event;
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata,
    // Clients read it as a field that is always there.
    eventTime: event.eventTime ?? firstTimestamp.replace(/Z$/, '.000000Z'),
    ...(event.series !== undefined && { series: event.series }),
    reportingController: event.reportingComponent,
    reportingInstance: event.reportingInstance,
    action: event.action ?? '',
    reason: event.reason,
    regarding: involvedObject,
    ...(event.related !== undefined && { related: event.related }),
    note: event.message,
    type: event.type,
    deprecatedSource: source,
    deprecatedFirstTimestamp: firstTimestamp,
    deprecatedLastTimestamp: lastTimestamp,
    deprecatedCount: count,
  };
}
