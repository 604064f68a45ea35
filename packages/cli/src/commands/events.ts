import type { CoreV1Event, ListEventsOptions } from '@drover/sdk/client';

import { withClient, type Client } from '../client.ts';
import { eventAge } from '../describe/events.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { untilInterrupted } from '../interrupt.ts';
import type { ObjectOptions } from '../options.ts';
import { formatDocument } from '../print/printer.ts';
import { formatTable } from '../text/table.ts';
import { parseThings, type Kind } from '../things.ts';

/** Options of `drover events`. */
export interface EventsOptions extends ObjectOptions {
  for?: string;
  types?: 'Normal' | 'Warning';
  allNamespaces?: boolean;
  watch?: boolean;
  headers: boolean;
  output?: 'json' | 'yaml';
}

const KIND_NAMES: Readonly<Record<Kind, string>> = {
  job: 'Job',
  cronjob: 'CronJob',
  pod: 'Pod',
  node: 'Node',
  configmap: 'ConfigMap',
  secret: 'Secret',
  resourcequota: 'ResourceQuota',
  priorityclass: 'PriorityClass',
};

/** Tells what happened, once or with `-w` as it happens. */
export async function eventsCommand(options: EventsOptions): Promise<number> {
  const query = queryOf(options);
  if (options.watch === true && options.output !== undefined) {
    throw badInput(`-w prints lines, not ${options.output}`);
  }
  return await withClient(options, async (client) => {
    const events = await client.events.list(query);
    if (options.output !== undefined) {
      process.stdout.write(await formatDocument(events, options.output, false));
      return EXIT.ok;
    }
    const print = printer(options);
    if (events.length === 0 && options.watch !== true) process.stderr.write('No events found.\n');
    else print(events);
    if (options.watch === true) {
      const told = new Set(events.map(versionOf));
      await untilInterrupted((signal) => follow(client, { ...query, signal }, told, print));
    }
    return EXIT.ok;
  });
}

async function follow(
  client: Client,
  query: ListEventsOptions & { readonly signal: AbortSignal },
  told: ReadonlySet<string>,
  print: (events: readonly CoreV1Event[]) => void,
): Promise<void> {
  for await (const event of client.events.watch(query)) {
    if (!told.has(versionOf(event))) print([event]);
  }
}

function versionOf({ metadata }: CoreV1Event): string {
  return `${metadata.uid}/${metadata.resourceVersion}`;
}

function queryOf({ for: what, types, allNamespaces }: EventsOptions): ListEventsOptions {
  const { things } = what === undefined ? { things: [] } : parseThings([what], null);
  const [thing] = things;
  if (what !== undefined && thing === undefined) {
    throw badInput(`--for ${what}: job/NAME, pod/NAME or the like is expected`);
  }
  return {
    ...(thing !== undefined && { about: { kind: KIND_NAMES[thing.kind], name: thing.name } }),
    ...(types !== undefined && { type: types }),
    ...(allNamespaces !== undefined && { allNamespaces }),
  };
}

/** Prints rows of one table; the header comes with the first. */
function printer({
  headers,
  allNamespaces = false,
}: EventsOptions): (events: readonly CoreV1Event[]) => void {
  const columns = ['last seen', 'type', 'reason', 'object', 'message'];
  let header = headers ? [...(allNamespaces ? ['namespace'] : []), ...columns] : [];
  const widths: number[] = [];
  return (events) => {
    const nowMs = Date.now();
    const rows = events.map(({ metadata, type, reason, involvedObject, message, ...event }) => [
      ...(allNamespaces ? [metadata.namespace] : []),
      eventAge(event, nowMs),
      type,
      reason,
      `${involvedObject.kind}/${involvedObject.name}`,
      message.split('\n')[0] ?? '',
    ]);
    const lines = formatTable(header, rows, widths);
    header = [];
    if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
  };
}
