import assert from 'node:assert/strict';
import { NO_PRIORITY, type PodPriority, type QuotaDenial } from '@drover/shared';
import {
  NO_FAILURES,
  type ObservedJob,
  type Refused,
  type StoredJob,
  type Taken,
  type Taking,
} from './api.ts';
import { decodeHot } from './hot.ts';
import { decodeFailures, decodePodRecord } from './records.ts';
import type { ScriptReply } from './scripts.ts';

/** A flat reply of fields and values as a map of texts. */
export function textMap(reply: ScriptReply | undefined): Map<string, string> {
  assert(Array.isArray(reply), 'a flat list of fields and values');
  const map = new Map<string, string>();
  for (let i = 0; i < reply.length; i += 2) {
    map.set(String(reply[i]), String(reply[i + 1]));
  }
  return map;
}

/** An integer reply, whether Redis sent a number or a text. */
export function integer(reply: ScriptReply | string | undefined): number {
  const value = typeof reply === 'number' ? reply : Number(String(reply));
  assert(Number.isSafeInteger(value), `an integer, got ${String(reply)}`);
  return value;
}

function field(map: ReadonlyMap<string, string>, name: string): string {
  const value = map.get(name);
  assert(value !== undefined, `field ${name} is missing in a stored Job`);
  return value;
}

function words(text: string | undefined): string[] {
  return text === undefined || text === '' ? [] : text.split(' ');
}

/** A Job's hash as an object. */
export function storedJob(uid: string, map: ReadonlyMap<string, string>): StoredJob {
  return {
    uid,
    namespace: field(map, 'namespace'),
    name: field(map, 'name'),
    object: field(map, 'object'),
    status: field(map, 'status'),
    resourceVersion: integer(field(map, 'rv')),
    generation: integer(field(map, 'generation')),
    createdMs: integer(field(map, 'createdMs')),
    queue: field(map, 'queue'),
    fittingKey: field(map, 'fittingKey'),
    finished: field(map, 'finished') === '1',
    // Fields that few Jobs have.
    finalizers: words(map.get('finalizers')),
    deletionMs: map.has('deletionMs') ? integer(map.get('deletionMs')) : null,
    droppedTo: integer(map.get('droppedTo') ?? '0'),
    failedDroppedTo: integer(map.get('failedDroppedTo') ?? '0'),
    droppedPods: integer(map.get('droppedPods') ?? '0'),
    orphaned: map.get('orphaned') === '1',
    hasFreePods: map.get('free') === '1',
    hasChangedPods: map.has('changed'),
    podsChangedVersion: integer(map.get('changed') ?? '0'),
    adoptedPods: integer(map.get('adopted') ?? '0'),
    hasLentPods: map.get('lent') === '1',
    hasSought: map.get('selecting') === '1',
    cut: map.has('cut') ? integer(map.get('cut')) : null,
    emptied: map.get('emptied') === '1',
    bare: map.get('bare') === '1',
    priority: priorityOf(map.get('priority')),
    deleted: field(map, 'deleted') === '1',
  };
}

function priorityOf(text: string | undefined): PodPriority {
  if (text === undefined) return NO_PRIORITY;
  const [value, className = ''] = text.split(' ');
  return { value: integer(value), className };
}

/** One look of the reply of `observeJob.lua`. */
export function observedJob(uid: string, nowMs: number, reply: ScriptReply): ObservedJob | null {
  if (reply === null) return null;
  assert(Array.isArray(reply));
  const [job, hotReply, unjudgedReply, pendingReply, ...rest] = reply;
  const [pendingCount, lanes, jobsOnQueue, hasOwningPods] = rest;
  assert(Buffer.isBuffer(hotReply));
  const hot = decodeHot(hotReply);
  assert(Array.isArray(unjudgedReply) && Array.isArray(pendingReply));
  const unjudged = [];
  for (let i = 0; i < unjudgedReply.length; i += 4) {
    const record = unjudgedReply[i + 1];
    const failures = unjudgedReply[i + 3];
    assert(Buffer.isBuffer(record) && Buffer.isBuffer(failures));
    unjudged.push({
      ...decodePodRecord(integer(unjudgedReply[i]), record),
      losses: integer(unjudgedReply[i + 2]),
      failures: failures.length === 0 ? NO_FAILURES : decodeFailures(failures, 0),
    });
  }
  return {
    nowMs,
    job: storedJob(uid, textMap(job)),
    decisionVersion: hot.decisionVersion,
    gate: hot.gate,
    counters: hot.counters,
    supply: hot.supply,
    unjudged,
    pendingSlots: pendingReply.map((slot) => integer(slot)),
    pendingCount: integer(pendingCount),
    fittingLanes: integer(lanes),
    jobsOnQueue: integer(jobsOnQueue),
    foldAtMs: hot.foldAtMs,
    hasOwningPods: hasOwningPods === 1,
  };
}

/** What was taken with a token, as `takeDue.lua` answers it. */
export function taking(reply: ScriptReply, token: string): Taking {
  const [nowMs, nextAt, ...members] = list(reply);
  const taken: Taken[] = [];
  for (let i = 0; i < members.length; i += 2) {
    taken.push({ member: String(members[i]), token, count: integer(members[i + 1]) });
  }
  const nextAtMs = String(nextAt) === '' ? null : Number(String(nextAt));
  return { nowMs: integer(nowMs), nextAtMs, taken };
}

/** The name of a code that a script answered. */
export function choose<const T extends Record<string, string | boolean>>(
  reply: ScriptReply,
  names: T,
): T[keyof T] {
  const name = names[String(reply)];
  assert(name !== undefined, `unknown reply ${String(reply)}`);
  return name as T[keyof T];
}

/** Why a guarded script wrote nothing; null when it wrote. */
export function refused(reply: number): Refused | null {
  if (reply === -1) return { type: 'moved' };
  if (reply === -2) return { type: 'gone' };
  return null;
}

/** Why quota does not allow something, as scripts say it. */
export function quotaDenial(reply: ScriptReply): QuotaDenial {
  return JSON.parse(String(reply)) as QuotaDenial;
}

/** A reply that is a list. */
export function list(reply: ScriptReply): ScriptReply[] {
  assert(Array.isArray(reply), 'a list reply');
  return reply;
}
