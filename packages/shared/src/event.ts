/** Events: what happened to an object, as core/v1 has it. They are kept for an hour, and only so many. */

/** Names an object that an event is about. */
export interface InvolvedObject {
  readonly apiVersion: string;
  readonly kind: string;
  /** Of an object without a namespace, a Node say, events lie in `default`. */
  readonly namespace?: string;
  readonly name: string;
  readonly uid: string;
}

/** Something that happened to an object, or the same thing several times: an Event of core/v1. */
export interface CoreV1Event {
  readonly apiVersion: 'v1';
  readonly kind: 'Event';
  readonly metadata: {
    /** The object's name and a hash of what makes it this event. */
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
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
}

/** What is said of several things that happened as one, in Kubernetes' words. */
export const COMBINED_PREFIX = '(combined from similar events): ';

/** How long an event is kept after it happened last, unless a controller says otherwise, ms. */
export const DEFAULT_EVENT_TTL_MS = 3_600_000;
