import { median } from './bed.ts';
import { type EnqueueRound, playEnqueue, type Produced, type Way } from './enqueue.ts';
import { type EndNoticed, type ItemRound, measureEnds, playItems, PODS } from './items.ts';
import type { Latency } from './scenarios.ts';

/** What was measured about items. */
export interface ItemFigures {
  readonly rounds: ItemRound[];
  readonly enqueued: EnqueueRound[];
  readonly ends: EndNoticed;
  /** Items of each round of `enqueued`. */
  readonly enqueuedItems: number;
}

/** One round. */
export async function playItemRound(
  figures: Pick<ItemFigures, 'rounds' | 'enqueued' | 'enqueuedItems'>,
  quick: boolean,
): Promise<void> {
  figures.rounds.push(await playItems(quick));
  figures.enqueued.push(await playEnqueue(figures.enqueuedItems));
}

/** Figures without a round yet, but those of one Job after the other. */
export async function beginItems(quick: boolean, isMillion: boolean): Promise<ItemFigures> {
  return {
    rounds: [],
    enqueued: [],
    ends: await measureEnds(quick),
    enqueuedItems: isMillion ? 1_000_000 : quick ? 20_000 : 100_000,
  };
}

/** Rows of the table, ratios, and what else is worth a place in the JSON. */
export function tellItems({ rounds, enqueued, ends, enqueuedItems }: ItemFigures): {
  rows: [string, string, string][];
  ratios: Record<string, number>;
  other: object;
} {
  const mid = (figure: (one: ItemRound) => number): number => median(rounds.map(figure));
  const made = (figure: (one: EnqueueRound) => number): number => median(enqueued.map(figure));
  const ratios = {
    itemsVsBullmq: mid((one) => one.single / one.bullmq),
    itemsVsBullmqPrefetch: mid((one) => one.single / one.bullmqPrefetch),
    chunkedVsBullmq: mid((one) => one.chunked / one.bullmq),
    enqueuedVsBullmq: made(({ single, bullmq }) => single.rate / bullmq.rate),
    enqueuedChunkedVsBullmq: made(({ chunked, bullmq }) => chunked.rate / bullmq.rate),
  };
  const taken = (
    what: string,
    a: (one: ItemRound) => number,
    b: (one: ItemRound) => number,
    ratio: number,
  ): [string, string, string] => [what, `${rate(mid(a))} : ${rate(mid(b))}`, ratio.toFixed(2)];
  const handedOver = (way: Way, what: string, ratio: number): [string, string, string] => [
    `${enqueuedItems.toLocaleString('en')} items enqueued ${what} : BullMQ's addBulk`,
    `${rate(made((one) => one[way].rate))} : ${rate(made(({ bullmq }) => bullmq.rate))}`,
    ratio.toFixed(2),
  ];
  const ofWays = (figure: (produced: Produced) => number): Record<Way, number> => ({
    single: made(({ single }) => figure(single)),
    chunked: made(({ chunked }) => figure(chunked)),
    bullmq: made(({ bullmq }) => figure(bullmq)),
  });
  const bytes = ofWays((produced) => produced.bytes);
  const grown = ofWays((produced) => produced.grownMegabytes);
  return {
    rows: [
      taken(
        `items, ${PODS} pods : BullMQ jobs, at ${PODS}`,
        (one) => one.single,
        (one) => one.bullmq,
        ratios.itemsVsBullmq,
      ),
      taken(
        `items, ${PODS} pods : BullMQ jobs, at ${PODS * 4}`,
        (one) => one.single,
        (one) => one.bullmqPrefetch,
        ratios.itemsVsBullmqPrefetch,
      ),
      taken(
        `tiny items in chunks, ${PODS} pods : BullMQ jobs, at ${PODS}`,
        (one) => one.chunked,
        (one) => one.bullmq,
        ratios.chunkedVsBullmq,
      ),
      handedOver('single', 'singly', ratios.enqueuedVsBullmq),
      handedOver('chunked', 'in chunks', ratios.enqueuedChunkedVsBullmq),
      ['bytes of Redis a waiting item beside its data', ways(bytes, 1), ''],
      ['memory of the producer grew by, MB', ways(grown, 0), ''],
      ['last item settled to the last pod told', latency(ends.byPods), ''],
      ['last item settled to Complete seen by wait()', latency(ends.byWaiter), ''],
    ],
    ratios,
    other: { bytesPerWaitingItem: bytes, producerGrewMegabytes: grown, enqueuedItems, endMs: ends },
  };
}

function rate(value: number): string {
  return `${Math.round(value).toLocaleString('en')}/s`;
}

function ways({ single, chunked, bullmq }: Record<Way, number>, digits: number): string {
  return `singly ${single.toFixed(digits)}, in chunks ${chunked.toFixed(digits)}, BullMQ ${bullmq.toFixed(digits)}`;
}

function latency({ p50, p99 }: Latency): string {
  return `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`;
}
