import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import type { Consumer, ConsumerEnd, ConsumerOptions } from '../consume/consumer.ts';
import { ItemsClient } from '../consume/itemsClient.ts';
import { Program } from '../consume/program.ts';
import { RunConsumer } from '../consume/runConsumer.ts';
import { StreamConsumer } from '../consume/streamConsumer.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { onInterrupt } from '../interrupt.ts';

/** Options of `drover consume`. */
export interface ConsumeCommandOptions {
  batch?: number;
  stream?: boolean;
  concurrency: number;
  json?: boolean;
  result?: boolean;
}

/** Programs that still run are told to stop so long before the pod is killed, ms; half of a short grace period. */
const LAST_WORD_MS = 5_000;
/** Variable with the path of the pod's socket. */
const SOCKET_VARIABLE = 'DROVER_ITEMS_SOCKET';

/** Runs a program for the items of the pod that this is in. */
export async function consumeCommand(
  words: readonly string[],
  options: ConsumeCommandOptions,
): Promise<number> {
  const socketPath = checkOptions(options);
  const program = new Program(words);
  const client = new ItemsClient(socketPath);
  const stop = new AbortController();
  const stopping = new Stopping(client, program, stop);
  const release = onInterrupt(() => stopping.onSignal());
  const inputs = Array.from({ length: options.concurrency }, (_, i) => inputPath(socketPath, i));
  try {
    const warm = program.warmUp();
    const ends = await runAll(
      inputs.map((path) => makeConsumer(options, { client, program, stop: stop.signal }, path)),
      () => stop.abort(),
    );
    await warm;
    return ends.includes('stopped') ? EXIT.interrupted : EXIT.ok;
  } finally {
    release();
    stopping.end();
    client.close();
    await program.close();
    await Promise.all(inputs.map((path) => rm(path, { force: true })));
  }
}

/** What follows when this process is told to stop. */
class Stopping {
  readonly #client: ItemsClient;
  readonly #program: Program;
  readonly #stop: AbortController;
  #timer: NodeJS.Timeout | undefined;
  #signals = 0;

  constructor(client: ItemsClient, program: Program, stop: AbortController) {
    this.#client = client;
    this.#program = program;
    this.#stop = stop;
  }

  onSignal(): void {
    this.#signals += 1;
    this.#stop.abort();
    if (this.#signals === 1) void this.#wait();
    else if (this.#signals === 2) this.#program.stop();
    else process.exit(EXIT.interrupted);
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  /** What runs may end; shortly before it would be killed it is told. */
  async #wait(): Promise<void> {
    const { runCount } = this.#program;
    if (runCount === 0) return;
    process.stderr.write('drover consume: no further items; waiting for what runs\n');
    const graceMs = await this.#client.graceMs().catch(() => null);
    if (graceMs === null) return;
    const lastMs = Math.min(LAST_WORD_MS, graceMs / 2);
    this.#timer = setTimeout(() => this.#program.stop(), graceMs - lastMs);
  }
}

/** What is wrong with the options; answers where the socket is. */
function checkOptions({ batch, stream, result }: ConsumeCommandOptions): string {
  const problems: string[] = [];
  if (batch !== undefined && stream === true) {
    problems.push(
      '--batch gives several lines to each run and --stream all of them to one: choose one',
    );
  }
  if (batch !== undefined && result === true) {
    problems.push('--result needs to know which item it is of: not with --batch');
  }
  const socketPath = process.env[SOCKET_VARIABLE] ?? '';
  if (socketPath === '') {
    problems.push(
      `there are no items here: \`drover consume\` is run by the pods of a Job that names a work queue, which have ${SOCKET_VARIABLE} in their environment`,
    );
  }
  const [first, ...rest] = problems;
  if (first !== undefined) throw badInput(first, rest);
  return socketPath;
}

/** In the pod's own directory, which its worker removes, whatever becomes of this process. */
function inputPath(socketPath: string, index: number): string {
  return join(dirname(socketPath), `input-${process.pid}-${index}`);
}

function makeConsumer(
  { batch, stream, json = false, result = false }: ConsumeCommandOptions,
  parts: Pick<ConsumerOptions, 'client' | 'program' | 'stop'>,
  path: string,
): Consumer {
  const common = { ...parts, inputPath: path, asJson: json, keepsResults: result };
  if (stream === true) return new StreamConsumer(common);
  return new RunConsumer({ ...common, batch: batch ?? null });
}

/** Runs all to their ends. When one can't go on the others take no more. @throws what the first one could not do. */
async function runAll(consumers: readonly Consumer[], onError: () => void): Promise<ConsumerEnd[]> {
  const ends = await Promise.allSettled(
    consumers.map((consumer) =>
      consumer.run().catch((error: unknown) => {
        onError();
        throw error;
      }),
    ),
  );
  return ends.map((end) => {
    if (end.status === 'rejected') throw end.reason;
    return end.value;
  });
}
