import { unlinkSync, writeFileSync } from 'node:fs';

import { MAX_ITEM_RESULT_BYTES } from '@drover/shared/items';
import { lineOf, readResult, textOf, tooLong } from '@drover/worker/programs';

import {
  handOn,
  NO_LINE,
  settle,
  type Consumer,
  type ConsumerEnd,
  type ConsumerOptions,
  type Verdict,
} from './consumer.ts';
import type { TakenItem } from './itemsClient.ts';
import type { ProgramEnd } from './program.ts';

/** What is read of a program for a result; white space around it may make it longer than it is. */
const MAX_PRINTED_BYTES = 2 * MAX_ITEM_RESULT_BYTES;

/** Options of {@link RunConsumer}. */
export interface RunConsumerOptions extends ConsumerOptions {
  /** Items of a run at most, each a line; null = one item for each run, whatever is in it. */
  readonly batch: number | null;
}

/** Runs the program once for each item, or for several that are at hand: its exit code is theirs. */
export class RunConsumer implements Consumer {
  readonly #options: RunConsumerOptions;

  constructor(options: RunConsumerOptions) {
    this.#options = options;
  }

  async run(): Promise<ConsumerEnd> {
    const { client, batch, stop } = this.#options;
    // What became of the last run is told while the next one begins.
    let told: Promise<unknown> = Promise.resolve();
    for (;;) {
      const next = client.next(batch ?? 1, stop);
      const [taken] = await Promise.all([next, told]);
      if (taken.type !== 'items') return taken.type;
      for (const items of batch === null
        ? taken.items.map((item) => [item])
        : groups(taken.items)) {
        const verdicts = await this.#runOnce(items);
        await told;
        if (verdicts === null) return 'stopped';
        told = Promise.all([...verdicts].map(([item, verdict]) => settle(client, item, verdict)));
        told.catch(() => undefined);
      }
    }
  }

  /** What is to be said of each; null when the program was told to stop, and nothing is to be said. */
  async #runOnce(items: readonly TakenItem[]): Promise<ReadonlyMap<TakenItem, Verdict> | null> {
    const { program, inputPath, batch, keepsResults } = this.#options;
    const verdicts = new Map<TakenItem, Verdict>();
    const texts: string[] = [];
    const given: TakenItem[] = [];
    for (const item of items) {
      const text = this.#textOf(item);
      if (text === null) verdicts.set(item, NO_LINE);
      else {
        texts.push(`${text}\n`);
        given.push(item);
      }
    }
    if (given.length === 0) return verdicts;
    // A new file each time: file systems are slow to truncate one.
    writeFileSync(inputPath, texts.join(''), { mode: 0o600, flag: 'wx' });
    const printed = new Printed();
    const end = await program.run({
      input: inputPath,
      env: batch === null ? variables(given[0]!) : {},
      onPrinted: keepsResults ? (chunk) => printed.add(chunk) : handOn,
    });
    unlinkSync(inputPath);
    if (end.wasStopped) return null;
    const verdict = verdictOf(end, keepsResults ? printed : null);
    for (const item of given) verdicts.set(item, verdict);
    return verdicts;
  }

  #textOf({ data }: TakenItem): string | null {
    const { batch, asJson } = this.#options;
    return batch === null ? textOf(data, asJson) : lineOf(data, asJson);
  }
}

function verdictOf(end: ProgramEnd, printed: Printed | null): Verdict {
  if (!end.hasSucceeded) return { type: 'fail', error: end.text, retry: true };
  if (printed === null) return { type: 'complete', result: '' };
  const read = printed.read();
  if ('problem' in read) return { type: 'fail', error: read.problem, retry: false };
  return { type: 'complete', result: read.json };
}

/**
 * Items that failed before are run one by one: so the one that is to blame for a run that failed is found, and the
 * others are not given up with it.
 */
function groups(items: readonly TakenItem[]): TakenItem[][] {
  const fresh = items.filter(({ attempt }) => attempt === 1);
  const again = items.filter(({ attempt }) => attempt > 1).map((item) => [item]);
  return fresh.length === 0 ? again : [fresh, ...again];
}

function variables({ id, key, attempt }: TakenItem): Record<string, string> {
  return {
    DROVER_ITEM_ID: String(id),
    DROVER_ITEM_ATTEMPT: String(attempt),
    ...(key === null ? {} : { DROVER_ITEM_KEY: key }),
  };
}

/** What a program prints, as far as it can be a result. */
class Printed {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  add(chunk: Buffer): void {
    this.#length += chunk.length;
    if (this.#length <= MAX_PRINTED_BYTES) this.#chunks.push(Buffer.from(chunk));
  }

  read(): ReturnType<typeof readResult> {
    if (this.#length > MAX_PRINTED_BYTES) return { problem: tooLong(this.#length) };
    return readResult(Buffer.concat(this.#chunks));
  }
}
