import type { ItemsClient, TakenItem } from './itemsClient.ts';
import type { Program } from './program.ts';

/** What the ways to run a program for items have in common. */
export interface ConsumerOptions {
  readonly client: ItemsClient;
  readonly program: Program;
  /** Path for its input, of its own. */
  readonly inputPath: string;
  /** Texts are given as JSON, too. */
  readonly asJson: boolean;
  /** What the program prints is kept as the result; else it is handed on. */
  readonly keepsResults: boolean;
  /** No further items are to be taken. */
  readonly stop: AbortSignal;
}

/** Why no more items are taken: all are done, or the pod is to stop. */
export type ConsumerEnd = 'done' | 'stopped';

/** A way to run a program for items. */
export interface Consumer {
  /** Takes items until there are none. @throws CliError when they can't be had, or the program can't be run. */
  run(): Promise<ConsumerEnd>;
}

/** What is said of an item. */
export type Verdict =
  | {
      readonly type: 'complete';
      /** As JSON; '' = none. */
      readonly result: string;
    }
  | { readonly type: 'fail'; readonly error: string; readonly retry: boolean };

/** Of an item whose text can't be a line: it fails every time. */
export const NO_LINE: Verdict = {
  type: 'fail',
  error: 'it is a text with line breaks, which can not be given as a line; --json gives it in one',
  retry: false,
};

/** Says what became of an item; a word that does not count is told, and is no reason to end. */
export async function settle(
  client: ItemsClient,
  { id }: TakenItem,
  verdict: Verdict,
): Promise<void> {
  const refusal =
    verdict.type === 'complete'
      ? await client.complete(id, verdict.result)
      : await client.fail(id, verdict.error, verdict.retry);
  if (refusal !== null) process.stderr.write(`drover consume: item ${id}: ${refusal}\n`);
}

/** Hands on what the program printed. */
export function handOn(chunk: Buffer): void {
  process.stdout.write(Buffer.from(chunk));
}
