import assert from 'node:assert/strict';
import {
  type Claim,
  type IndexFailures,
  NO_FAILURES,
  POD_REASONS,
  type PodReason,
  type PodRecord,
  type ReportAnswer,
  type ReportEntry,
  type SlotRecord,
} from './api.ts';

/** Bytes of a pod's packed record; the layout is in lua/include/record.lua. */
export const POD_RECORD_BYTES = 27;
/** Bytes of a slot's packed record: 60 used, padded above Redis' listpack limit of 64. */
export const SLOT_RECORD_BYTES = 68;
/** Where a slot's record has the failures of its index. */
const SLOT_FAILURES_AT = 52;
const FAILURES_BYTES = 8;

const FLAG_FAILED = 1;
const FLAG_LOG = 2;
const FLAG_OVERLAY = 4;
/** By number, see lua/include/record.lua. The last two are of pods that their Job has released. */
const PHASES = [
  'Pending',
  'Running',
  'Stopping',
  'Stopping',
  'Stopping',
  'Running',
  'Stopping',
] as const;
const FREE = 5;
const RETURNING = 3;
const LEAVING = 4;

/** A big-endian unsigned integer of 7 bytes (a resourceVersion). */
function readUInt56(buffer: Buffer, offset: number): number {
  return buffer.readUInt8(offset) * 2 ** 48 + buffer.readUIntBE(offset + 1, 6);
}

const FLAG_PRESENT = 8;

/** Whether bytes of a chunk hold a record: pods that run, or were removed, leave zeros. */
export function isPodRecord(buffer: Buffer): boolean {
  return buffer.length === POD_RECORD_BYTES && (buffer.readUInt8(18) & FLAG_PRESENT) !== 0;
}

/** Unpacks the record of a finished pod. */
export function decodePodRecord(podNumber: number, buffer: Buffer): PodRecord {
  assert.equal(buffer.length, POD_RECORD_BYTES, 'pod record');
  const flags = buffer.readUInt8(18);
  const startMs = buffer.readUIntBE(6, 6);
  return {
    podNumber,
    index: buffer.readUInt32BE(0),
    nodeNumber: buffer.readUInt16BE(4),
    startMs,
    endMs: startMs + buffer.readUIntBE(12, 5),
    exitCode: buffer.readUInt8(17),
    outcome: flags & FLAG_FAILED ? 'Failed' : 'Succeeded',
    reason: reasonAt(buffer.readUInt8(19)),
    hasLog: (flags & FLAG_LOG) !== 0,
    hasOverlay: (flags & FLAG_OVERLAY) !== 0,
    resourceVersion: readUInt56(buffer, 20),
  };
}

function reasonAt(code: number): PodReason {
  const reason = POD_REASONS[code];
  assert(reason !== undefined, `unknown reason code ${code} in a pod record`);
  return reason;
}

/** Unpacks what a slot holds. */
export function decodeSlotRecord(slot: number, buffer: Buffer): SlotRecord {
  // What it was granted of quota may follow.
  assert(buffer.length >= SLOT_RECORD_BYTES, 'slot record');
  const phase = PHASES[buffer.readUInt8(12)];
  assert(phase !== undefined, 'unknown phase in a slot record');
  return {
    slot,
    podNumber: buffer.readUInt32BE(0),
    index: buffer.readUInt32BE(4),
    phase,
    restarts: buffer.readUInt16BE(13),
    attemptsStarted: buffer.readUInt32BE(15),
    nodeNumber: buffer.readUInt16BE(19),
    session: phase === 'Pending' ? '' : buffer.toString('hex', 21, 29),
    createdMs: buffer.readUIntBE(29, 6),
    startMs: buffer.readUIntBE(35, 6),
    resourceVersion: readUInt56(buffer, 41),
    ...(buffer.readUInt8(12) >= FREE && { isFree: true }),
    ...(buffer.readUInt8(12) === LEAVING && { countsByEnd: true }),
    ...(buffer.readUInt8(12) === RETURNING && { owesIndex: true }),
    ...failuresField(decodeFailures(buffer, SLOT_FAILURES_AT)),
    ...(buffer.length > SLOT_RECORD_BYTES && {
      grant: buffer.toString('utf8', SLOT_RECORD_BYTES),
    }),
  };
}

/** The field of a claim or slot that most have not. */
export function failuresField(failures: IndexFailures): { failures?: IndexFailures } {
  return failures === NO_FAILURES ? {} : { failures };
}

/** Unpacks how often pods of an index failed; most never did. */
export function decodeFailures(buffer: Buffer, at: number): IndexFailures {
  const counted = buffer.readUInt32BE(at);
  const ignored = buffer.readUInt32BE(at + 4);
  return counted === 0 && ignored === 0 ? NO_FAILURES : { counted, ignored };
}

/** Packs how often pods of an index failed. */
export function encodeFailures({ counted, ignored }: IndexFailures): Buffer {
  const buffer = Buffer.allocUnsafe(FAILURES_BYTES);
  buffer.writeUInt32BE(counted, 0);
  buffer.writeUInt32BE(ignored, 4);
  return buffer;
}

const ENTRY_BYTES = 15;
const ENTRY_FAILED = 1;
const ENTRY_LOG = 2;
const ENTRY_LEAVE = 4;
const ENTRY_QUANTUM_OVER = 8;
const ENTRY_OVERLAY = 16;
const REASON_CODES = new Map(POD_REASONS.map((reason, code) => [reason, code]));

/** Bytes that an entry takes in a report, about. The reporter bounds its batches by it. */
export function entrySize(entry: ReportEntry): number {
  return entry.overlay === null ? ENTRY_BYTES : ENTRY_BYTES + JSON.stringify(entry.overlay).length;
}

/** Packs what `report.lua` reads of each entry; the overlays travel apart, see {@link encodeOverlays}. */
export function encodeEntries(entries: readonly ReportEntry[]): Buffer {
  const buffer = Buffer.allocUnsafe(entries.length * ENTRY_BYTES);
  let at = 0;
  for (const entry of entries) {
    buffer.writeUInt32BE(entry.slot, at);
    buffer.writeUInt32BE(entry.podNumber, at + 4);
    buffer.writeUInt32BE(entry.attemptsStarted, at + 8);
    buffer[at + 12] =
      (entry.outcome === 'Failed' ? ENTRY_FAILED : 0) |
      (entry.hasLog ? ENTRY_LOG : 0) |
      (entry.leave ? ENTRY_LEAVE : 0) |
      (entry.quantumOver ? ENTRY_QUANTUM_OVER : 0) |
      (entry.overlay === null ? 0 : ENTRY_OVERLAY);
    buffer[at + 13] = entry.exitCode;
    buffer[at + 14] = REASON_CODES.get(entry.reason)!;
    at += ENTRY_BYTES;
  }
  return buffer;
}

/** The overlays of the entries that have one, in their order. */
export function encodeOverlays(entries: readonly ReportEntry[]): string[] {
  const overlays: string[] = [];
  for (const { overlay } of entries) if (overlay !== null) overlays.push(JSON.stringify(overlay));
  return overlays;
}

const ANSWER_BYTES = 15;
/** As `next`, of an index of which pods failed before: it goes on with how often. */
const ANSWER_RETRY = 6;
const RELEASED: ReportAnswer = { type: 'released' };
const YIELD: ReportAnswer = { type: 'yield' };
const STALE: ReportAnswer = { type: 'stale' };
const ROLLED_BACK: ReportAnswer = { type: 'rolledBack' };

/** Unpacks the answers of `report.lua`, in the order of the entries. */
export function decodeAnswers(buffer: Buffer, count: number): ReportAnswer[] {
  const answers: ReportAnswer[] = Array.from({ length: count });
  let at = 0;
  for (let i = 0; i < count; i++) {
    answers[i] = decodeAnswer(buffer, at);
    at += buffer[at] === ANSWER_RETRY ? ANSWER_BYTES + FAILURES_BYTES : ANSWER_BYTES;
  }
  assert.equal(buffer.length, at, 'report answers');
  return answers;
}

function decodeClaim(buffer: Buffer, at: number): Claim {
  const startMs = buffer.readUIntBE(at + 9, 6);
  return {
    podNumber: buffer.readUInt32BE(at + 1),
    index: buffer.readUInt32BE(at + 5),
    createdMs: startMs,
    startMs,
    restarts: 0,
  };
}

function decodeAnswer(buffer: Buffer, at: number): ReportAnswer {
  switch (buffer[at]) {
    case 1:
      return { type: 'next', claim: decodeClaim(buffer, at) };
    case 2:
      return RELEASED;
    case 3:
      return YIELD;
    case 4:
      return STALE;
    case 5:
      return ROLLED_BACK;
    case ANSWER_RETRY: {
      const failures = decodeFailures(buffer, at + ANSWER_BYTES);
      return { type: 'next', claim: { ...decodeClaim(buffer, at), failures } };
    }
    default:
      throw new assert.AssertionError({ message: `unknown report answer ${buffer[at]}` });
  }
}
