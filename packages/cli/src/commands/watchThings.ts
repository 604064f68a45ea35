import type { Pod } from '@drover/shared';

import type { Client } from '../client.ts';
import { TablePrinter, type Printable } from '../print/printer.ts';
import type { Kind, Thing } from '../things.ts';
import { printOptions, type GetOptions } from './getOptions.ts';

/** Prints a row for everything that is there, and one for every change, until the signal. */
export async function watchThings(
  client: Client,
  kind: Kind,
  things: readonly Thing[],
  options: GetOptions,
  signal: AbortSignal,
): Promise<void> {
  const printer = new TablePrinter(printOptions(options));
  const print = (object: Printable): void => {
    process.stdout.write(`${printer.lines([object], Date.now()).join('\n')}\n`);
  };
  const name = things[0]?.name;
  if (kind === 'job') {
    // Tell a wrong name instead of waiting for it to come.
    if (name !== undefined) await client.jobs.get(name);
    for await (const { job } of client.jobs.watch({ ...query(options), ...named(name), signal })) {
      print(job);
    }
    return;
  }
  if (kind !== 'pod' && kind !== 'node') {
    if (name !== undefined) await readKept(client, kind, name);
    const which = { ...query(options), ...named(name), signal };
    const watches = {
      configmap: () => client.configMaps.watch(which),
      secret: () => client.secrets.watchSummaries(which),
      cronjob: () => client.cronJobs.watch(which),
      resourcequota: () => client.resourceQuotas.watch(which),
      priorityclass: () => client.priorityClasses.watch(which),
    };
    for await (const { object } of watches[kind]()) print(object);
    return;
  }
  if (name !== undefined) await client.pods.get(name);
  for await (const pod of client.pods.watch({ ...query(options), signal })) {
    if (name === undefined || pod.pod.metadata.name === name) print(pod.pod satisfies Pod);
  }
}

async function readKept(
  client: Client,
  kind: 'configmap' | 'secret' | 'cronjob' | 'resourcequota' | 'priorityclass',
  name: string,
): Promise<void> {
  if (kind === 'secret') {
    await client.secrets.summary(name);
    return;
  }
  const clients = {
    cronjob: client.cronJobs,
    configmap: client.configMaps,
    resourcequota: client.resourceQuotas,
    priorityclass: client.priorityClasses,
  };
  await clients[kind].get(name);
}

function named(name: string | undefined): { name?: string } {
  return name === undefined ? {} : { name };
}

function query({ selector, allNamespaces }: GetOptions) {
  return {
    ...(selector === undefined ? {} : { labelSelector: selector }),
    ...(allNamespaces === undefined ? {} : { allNamespaces }),
  };
}
