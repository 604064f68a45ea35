import assert from 'node:assert/strict';
import type { ItemEnd, ItemOutcome, SettleAnswer } from './workQueueApi.ts';

/** id I4, flags B, attempts I2, length I4; lua/settleItems.lua is the other side. */
const HEADER_BYTES = 11;
const FLAG_DEAD = 1;
const MAX_ATTEMPTS = 0xffff;
const ANSWERS: readonly (SettleAnswer | undefined)[] = [
  undefined,
  'settled',
  'already',
  'fenced',
  'gone',
];

/** Packs items for `settleItems.lua`. */
export function encodeItems(items: readonly ItemEnd[]): Buffer {
  const payloads = items.map((item) => Buffer.from(item.payload));
  const bytes = payloads.reduce((sum, payload) => sum + HEADER_BYTES + payload.length, 0);
  const buffer = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const [i, item] of items.entries()) {
    const payload = payloads[i]!;
    buffer.writeUInt32BE(item.id, at);
    buffer[at + 4] = item.outcome === 'dead' ? FLAG_DEAD : 0;
    buffer.writeUInt16BE(Math.min(item.attempts, MAX_ATTEMPTS), at + 5);
    buffer.writeUInt32BE(payload.length, at + 7);
    payload.copy(buffer, at + HEADER_BYTES);
    at += HEADER_BYTES + payload.length;
  }
  return buffer;
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
  buffer: Buffer,
  of: Pick<ItemOutcome, 'jobUid' | 'podNumber' | 'endedMs'>,
): ItemOutcome[] {
  const outcomes: ItemOutcome[] = [];
  for (let at = 0; at < buffer.length;) {
    const length = buffer.readUInt32BE(at + 7);
    const end = at + HEADER_BYTES + length;
    outcomes.push({
      id: buffer.readUInt32BE(at),
      outcome: buffer[at + 4] === FLAG_DEAD ? 'dead' : 'completed',
      attempts: buffer.readUInt16BE(at + 5),
      result: buffer.toString('utf8', at + HEADER_BYTES, end),
      ...of,
    });
    at = end;
  }
  return outcomes;
}
