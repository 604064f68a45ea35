import assert from 'node:assert/strict';
import type { ItemEnd, ItemOutcome, PodItems, SettleAnswer } from './workQueueApi.ts';

const ID_BYTES = 4;
/** podNumber I4, flags B, attempts I2, length I4; lua/settleItems.lua is the other side. */
const RECORD_BYTES = 11;
const FLAG_DEAD = 1;
const MAX_ATTEMPTS = 0xffff;
const ANSWERS: readonly (SettleAnswer | undefined)[] = [
  undefined,
  'settled',
  'already',
  'fenced',
  'gone',
];

/** Items as `settleItems.lua` takes them. */
export interface EncodedItems {
  readonly ids: Buffer;
  readonly records: Buffer;
  readonly deadCount: number;
}

/** Packs the items of pods for `settleItems.lua`. */
export function encodeItems(pods: readonly PodItems[]): EncodedItems {
  let count = 0;
  let bytes = 0;
  for (const { items } of pods) {
    count += items.length;
    for (const { payload } of items) bytes += RECORD_BYTES + Buffer.byteLength(payload);
  }
  const ids = Buffer.allocUnsafe(count * ID_BYTES);
  const records = Buffer.allocUnsafe(bytes);
  let [idAt, at, deadCount] = [0, 0, 0];
  for (const { podNumber, items } of pods) {
    for (const item of items) {
      idAt = ids.writeUInt32BE(item.id, idAt);
      if (item.outcome === 'dead') deadCount += 1;
      at = writeRecord(records, at, podNumber, item);
    }
  }
  return { ids, records, deadCount };
}

/** @returns where the next one begins. */
function writeRecord(
  buffer: Buffer,
  at: number,
  podNumber: number,
  { outcome, attempts, payload }: ItemEnd,
): number {
  buffer.writeUInt32BE(podNumber, at);
  buffer[at + 4] = outcome === 'dead' ? FLAG_DEAD : 0;
  buffer.writeUInt16BE(Math.min(attempts, MAX_ATTEMPTS), at + 5);
  const length = payload === '' ? 0 : buffer.write(payload, at + RECORD_BYTES);
  buffer.writeUInt32BE(length, at + 7);
  return at + RECORD_BYTES + length;
}

/** Unpacks the answers of `settleItems.lua`. */
export function decodeSettleAnswers(buffer: Buffer): SettleAnswer[] {
  return Array.from(buffer, (byte) => {
    const answer = ANSWERS[byte];
    assert(answer !== undefined, `unknown answer ${byte}`);
    return answer;
  });
}

/** Unpacks an entry of the stream of outcomes. */
export function decodeOutcomes(
  ids: Buffer,
  records: Buffer,
  of: Pick<ItemOutcome, 'jobUid' | 'endedMs'>,
): ItemOutcome[] {
  const outcomes: ItemOutcome[] = [];
  let at = 0;
  for (let idAt = 0; idAt < ids.length; idAt += ID_BYTES) {
    const end = at + RECORD_BYTES + records.readUInt32BE(at + 7);
    outcomes.push({
      id: ids.readUInt32BE(idAt),
      podNumber: records.readUInt32BE(at),
      outcome: records[at + 4] === FLAG_DEAD ? 'dead' : 'completed',
      attempts: records.readUInt16BE(at + 5),
      result: records.toString('utf8', at + RECORD_BYTES, end),
      ...of,
    });
    at = end;
  }
  return outcomes;
}
