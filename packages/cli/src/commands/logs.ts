import type { LogOptions } from '@drover/sdk/client';
import type { Pod } from '@drover/shared';

import { withClient, type Client } from '../client.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { untilInterrupted } from '../interrupt.ts';
import type { ObjectOptions } from '../options.ts';
import { coloursFor } from '../text/colours.ts';
import { parseThings } from '../things.ts';

/** Options of `drover logs`. */
export interface LogsOptions extends ObjectOptions {
  follow?: boolean;
  tail?: number;
  /** Milliseconds. */
  since?: number;
  timestamps?: boolean;
  allPods?: boolean;
  container?: string;
  allContainers?: boolean;
  previous?: boolean;
}

/** Prints what a pod wrote, or what the pods of a Job wrote. */
export async function logsCommand(what: string, options: LogsOptions): Promise<number> {
  const { things } = parseThings([what], 'pod');
  const [thing] = things;
  if (thing === undefined || thing.kind === 'node') throw badInput('logs are of POD or job/NAME');
  if (options.allPods === true && thing.kind !== 'job') {
    throw badInput('--all-pods is for job/NAME');
  }
  if (options.allContainers === true && options.container !== undefined) {
    throw badInput('--container and --all-containers exclude each other');
  }
  return await withClient(options, async (client) => {
    await untilInterrupted(async (signal) => {
      if (thing.kind === 'pod') {
        await printPod(client, await client.pods.get(thing.name), options, signal);
      } else if (options.allPods === true) await printAll(client, thing.name, options, signal);
      else await printOneOf(client, thing.name, options, signal);
    });
    return EXIT.ok;
  });
}

/** Annotation that names the container which is meant when none is given, as kubectl reads it. */
const DEFAULT_CONTAINER = 'kubectl.kubernetes.io/default-container';

/** Prints what one container of a pod wrote, or all of them one after the other. */
async function printPod(
  client: Client,
  pod: Pod,
  options: LogsOptions,
  signal: AbortSignal,
  prefix = '',
): Promise<void> {
  const { containers, initContainers = [] } = pod.spec;
  const all = [...initContainers, ...containers];
  if (all.length === 1 || options.container !== undefined) {
    await print(client, pod, options, signal, prefix);
  } else if (options.allContainers !== true) {
    const container = defaultContainer(pod);
    await print(client, pod, { ...options, container }, signal, prefix);
  } else if (options.follow === true) {
    await print(client, pod, options, signal, prefix);
  } else {
    for (const { name } of all) {
      await print(client, pod, { ...options, container: name }, signal, prefix);
    }
  }
}

/** The container that kubectl would take; says so. */
function defaultContainer({ metadata, spec }: Pod): string {
  const { containers, initContainers = [] } = spec;
  const named = metadata.annotations?.[DEFAULT_CONTAINER];
  if (named !== undefined && containers.some(({ name }) => name === named)) return named;
  const name = containers[0]?.name ?? '';
  const others = [
    ...containers.map((container) => container.name),
    ...initContainers.map((container) => `${container.name} (init)`),
  ];
  process.stderr.write(`Defaulted container "${name}" out of: ${others.join(', ')}\n`);
  return name;
}

async function print(
  client: Client,
  pod: string | Pod,
  options: LogsOptions,
  signal: AbortSignal,
  prefix = '',
): Promise<void> {
  const mark = Buffer.from(prefix);
  let startsLine = true;
  for await (const { bytes, droppedBytes } of client.pods.logLines(
    pod,
    logOptions(options, signal),
  )) {
    // As the program wrote it: what is no UTF-8 must not become something else on its way.
    const line = droppedBytes > 0 ? Buffer.from(droppedText(droppedBytes)) : bytes;
    process.stdout.write(startsLine && prefix !== '' ? Buffer.concat([mark, line]) : line);
    startsLine = line.at(-1) === NEWLINE;
  }
  if (!startsLine && prefix !== '') process.stdout.write('\n');
}

const NEWLINE = 0x0a;

function droppedText(bytes: number): string {
  return `[${bytes} bytes were dropped here]\n`;
}

/** Of a Job with several pods one that runs, else the last one, as kubectl takes one of them. */
async function printOneOf(
  client: Client,
  job: string,
  options: LogsOptions,
  signal: AbortSignal,
): Promise<void> {
  const pods = await podsOf(client, job, options, signal);
  const pod = pods.findLast(({ status }) => status?.phase === 'Running') ?? pods.at(-1);
  if (pod === undefined) {
    process.stderr.write(`job "${job}" has no pods yet\n`);
    return;
  }
  if (pods.length > 1) {
    process.stderr.write(
      `Found ${pods.length} pods, using pod/${pod.metadata.name} (--all-pods prints all)\n`,
    );
  }
  await printPod(client, pod, options, signal);
}

async function printAll(
  client: Client,
  job: string,
  options: LogsOptions,
  signal: AbortSignal,
): Promise<void> {
  const colours = coloursFor(process.stdout);
  const prefixOf = (pod: Pod) => `${colours.cyan(`[pod/${pod.metadata.name}]`)} `;
  if (options.follow !== true) {
    for await (const pod of client.pods.iterate({ job })) {
      await printPod(client, pod, options, signal, prefixOf(pod));
    }
    return;
  }
  const printing: Promise<void>[] = [];
  // A Job that ended starts no pods: leave when it did and every log was read to its end.
  const ended = new AbortController();
  const finished = client.jobs.wait(job, { signal }).then(() => ended.abort());
  const watch = client.pods.watch({ job, signal: AbortSignal.any([signal, ended.signal]) });
  for await (const { type, pod } of watch) {
    if (type === 'ADDED') printing.push(printPod(client, pod, options, signal, prefixOf(pod)));
  }
  await Promise.all(printing);
  await finished.catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

/** The Job's pods; with `--follow` waits until there is one. */
async function podsOf(
  client: Client,
  job: string,
  options: LogsOptions,
  signal: AbortSignal,
): Promise<Pod[]> {
  const pods = await client.pods.list({ job });
  if (pods.length > 0 || options.follow !== true) return pods;
  for await (const { pod } of client.pods.watch({ job, signal })) return [pod];
  return [];
}

function logOptions(options: LogsOptions, signal: AbortSignal): LogOptions {
  const { follow, tail, since, timestamps, container, previous } = options;
  return {
    signal,
    ...(follow === undefined ? {} : { follow }),
    ...(tail === undefined ? {} : { tailLines: tail }),
    ...(since === undefined ? {} : { sinceSeconds: since / 1000 }),
    ...(timestamps === undefined ? {} : { timestamps }),
    ...(container === undefined ? {} : { container }),
    ...(previous === undefined ? {} : { previous }),
  };
}
