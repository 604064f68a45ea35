import { Bed } from './bed.ts';

/** How a producer hands its items over. */
export type Way = 'bullmq' | 'single' | 'chunked';

/** What one producer did with its items. */
export interface Produced {
  /** Items per second. */
  readonly rate: number;
  /** Redis' bytes per waiting item, those of its data not counted. */
  readonly bytes: number;
  /** How much more memory the producer held at its highest than before the first item, MB. */
  readonly grownMegabytes: number;
}

/** One round: the same items, handed over in each way. */
export type EnqueueRound = Readonly<Record<Way, Produced>>;

async function produce(way: Way, count: number): Promise<Produced> {
  // One of its own: what is measured is its memory, too.
  const bed = await Bed.open();
  try {
    const producer = await bed.start('producer', bed.prefix, way, 'items', count);
    const before = await bed.usedMemory();
    process.kill(producer.pid, 'SIGUSR2');
    const [, ms, atStart, peak] = await producer.waitForLine(
      /^done ([\d.]+) ([\d.]+|NaN) ([\d.]+|NaN)$/,
      900_000,
    );
    const bytes = ((await bed.usedMemory()) - before - dataBytes(count)) / count;
    return {
      rate: (count / Number(ms)) * 1_000,
      bytes,
      grownMegabytes: Number(peak) - Number(atStart),
    };
  } finally {
    await bed.close();
  }
}

/** Bytes of `{"n":0}`, `{"n":1}` ... as JSON. */
function dataBytes(count: number): number {
  let bytes = 0;
  for (let n = 0; n < count; n += 1) bytes += 6 + String(n).length;
  return bytes;
}

/** One round. */
export async function playEnqueue(count: number): Promise<EnqueueRound> {
  return {
    bullmq: await produce('bullmq', count),
    single: await produce('single', count),
    chunked: await produce('chunked', count),
  };
}
