import { constants, openSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Socket } from 'node:net';

import { lineOf, makeFifos, readResult, tooLong } from '@drover/worker/programs';

import { CliError } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { AnswerLines } from './answerLines.ts';
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

/** After so long without the first answer of a run the user is told what may be wrong, ms. */
const HINT_AFTER_MS = 30_000;

/** A line that the program wrote; null = it was too long to be kept. */
type Answer = Buffer | null;

/**
 * Runs the program for as long as there are items, and gives it one after the other as a line. It answers each with one
 * line when it is through with it: that, and nothing before it, completes the item. The next line is given after the
 * answer, so that what a program that ends has not answered is one item, and it is known which.
 */
export class StreamConsumer implements Consumer {
  readonly #options: ConsumerOptions;
  #run: StreamRun | null = null;
  #hasHinted = false;

  constructor(options: ConsumerOptions) {
    this.#options = options;
  }

  async run(): Promise<ConsumerEnd> {
    const { client, stop } = this.#options;
    let told: Promise<void> = Promise.resolve();
    for (;;) {
      const next = client.next(1, stop);
      const [taken] = await Promise.all([next, told]);
      if (taken.type !== 'items') {
        await this.#endRun();
        return taken.type;
      }
      for (const item of taken.items) {
        const verdict = await this.#give(item);
        await told;
        if (verdict === null) return 'stopped';
        told = settle(client, item, verdict);
        told.catch(() => undefined);
      }
    }
  }

  /** What is to be said of an item; null when the program was told to stop. */
  async #give(item: TakenItem): Promise<Verdict | null> {
    const line = lineOf(item.data, this.#options.asJson);
    if (line === null) return NO_LINE;
    for (;;) {
      // One that ended of itself after its last answer is not to blame this item for.
      if (this.#run?.isOver === true) this.#run = null;
      this.#run ??= await StreamRun.start(this.#options);
      const run = this.#run;
      const outcome = await run.ask(line, () => this.#hint());
      if (outcome.type === 'answered') return this.#verdictOf(outcome.line);
      this.#run = null;
      const { end } = outcome;
      if (end.wasStopped) return null;
      // It may have had enough after so many lines, and not even read this one: the next run gets it.
      if (end.hasSucceeded && run.answerCount > 0) continue;
      return { type: 'fail', error: `${end.text} (it had not answered)`, retry: true };
    }
  }

  #verdictOf(line: Answer): Verdict {
    if (!this.#options.keepsResults) return { type: 'complete', result: '' };
    const read = line === null ? { problem: tooLong('too many') } : readResult(line);
    if ('problem' in read) return { type: 'fail', error: read.problem, retry: false };
    return { type: 'complete', result: read.json };
  }

  async #endRun(): Promise<void> {
    const end = await this.#run?.end();
    if (end === undefined || end.hasSucceeded || end.wasStopped) return;
    throw new CliError(`the program failed at its end: ${end.text}`, EXIT.failed);
  }

  #hint(): void {
    if (this.#hasHinted) return;
    this.#hasHinted = true;
    process.stderr.write(
      `drover consume: no answer for ${HINT_AFTER_MS / 1000} s. With --stream the program writes one line for each that it reads, and at once: many keep their output back in a pipe (\`stdbuf -oL\`, \`sed -u\`, \`jq --unbuffered\`, flush=True)\n`,
    );
  }
}

/** What came of a line. */
type Outcome =
  | { readonly type: 'answered'; readonly line: Answer }
  | { readonly type: 'ended'; readonly end: ProgramEnd };

/** One run of the program, from its first line to its end. */
class StreamRun {
  /** Lines that it answered. */
  answerCount = 0;
  isOver = false;
  readonly #input: Socket;
  readonly #fifo: string;
  readonly #ended: Promise<ProgramEnd>;
  #answered: ((line: Answer) => void) | null = null;
  #tooMany = false;

  private constructor(options: ConsumerOptions) {
    const { program, inputPath, keepsResults } = options;
    this.#fifo = inputPath;
    // Both ends, so that nothing waits for the program to open its own, or fails when it is gone.
    const fd = openSync(inputPath, constants.O_RDWR | constants.O_NONBLOCK);
    this.#input = new Socket({ fd, readable: false, writable: true });
    this.#input.on('error', () => undefined);
    const lines = new AnswerLines((line) => this.#onLine(line));
    const run = program.run({
      input: inputPath,
      env: {},
      onPrinted: (chunk) => {
        if (!keepsResults) handOn(chunk);
        lines.add(chunk);
      },
    });
    this.#ended = run.then((end) => {
      this.isOver = true;
      this.#close();
      if (end.hasSucceeded) lines.end();
      return end;
    });
    this.#ended.catch(() => undefined);
  }

  static async start(options: ConsumerOptions): Promise<StreamRun> {
    await rm(options.inputPath, { force: true });
    await makeFifos([options.inputPath]);
    return new StreamRun(options);
  }

  /** Gives it a line, and waits for its answer or its end. @throws CliError when it answered what it was not asked. */
  async ask(line: string, onHint: () => void): Promise<Outcome> {
    this.#checkAnswers();
    const timer = this.answerCount > 0 ? undefined : setTimeout(onHint, HINT_AFTER_MS);
    const answer = new Promise<Outcome>((resolve) => {
      this.#answered = (text) => resolve({ type: 'answered', line: text });
    });
    this.#input.write(`${line}\n`);
    // An answer without a line break comes with the end.
    const end = this.#ended.then((how) => ({ type: 'ended', end: how }) as const);
    const outcome = await Promise.race([answer, end]);
    clearTimeout(timer);
    this.#answered = null;
    return outcome;
  }

  /** Nothing more comes: waits for its end. @throws CliError when it answered what it was not asked. */
  async end(): Promise<ProgramEnd> {
    this.#close();
    const end = await this.#ended;
    this.#checkAnswers();
    return end;
  }

  #onLine(line: Answer): void {
    if (this.#answered === null) this.#tooMany = true;
    else {
      this.answerCount += 1;
      this.#answered(line);
      this.#answered = null;
    }
  }

  #checkAnswers(): void {
    if (!this.#tooMany) return;
    throw new CliError('the program wrote more lines than it was given', EXIT.failed, [
      'With --stream each line that it writes completes the item of the line that it was given: it must write nothing else to standard output.',
    ]);
  }

  #close(): void {
    this.#input.destroy();
    void rm(this.#fifo, { force: true });
  }
}
