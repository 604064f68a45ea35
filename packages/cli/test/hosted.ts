import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { guardProcess } from '@drover/testkit';

import type { Ended } from './drover.ts';

/** A command that is to be run. */
export interface CommandOrder {
  readonly args: readonly string[];
  /** All of its environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Standard input; null = it stays open. */
  readonly input: string | null;
}

const HOST = fileURLToPath(new URL('fixtures/commandHost.ts', import.meta.url));

/** Those that have nothing to do. */
const idle: ChildProcess[] = [];

/** Runs a command in a process that runs others before and after it, but none beside it. */
export async function runHosted(order: CommandOrder): Promise<Ended> {
  const host = idle.pop() ?? startHost();
  host.ref();
  host.channel?.ref();
  const failed = new AbortController();
  const died = once(host, 'exit', { signal: failed.signal }).then(() => {
    throw new Error(`the process of \`drover ${order.args.join(' ')}\` ended`);
  });
  const answered = once(host, 'message', { signal: failed.signal });
  host.send(order);
  try {
    const [ended] = (await Promise.race([answered, died])) as [Ended];
    idle.push(host);
    // A test process ends when its tests have.
    host.unref();
    host.channel?.unref();
    return ended;
  } finally {
    died.catch(() => undefined);
    answered.catch(() => undefined);
    failed.abort();
  }
}

function startHost(): ChildProcess {
  const host = fork(HOST, [], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  guardProcess(host);
  return host;
}
