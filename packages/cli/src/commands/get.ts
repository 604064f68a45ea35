import { checkSelector, withClient, type Client } from '../client.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { untilInterrupted } from '../interrupt.ts';
import { formatDocument, TablePrinter, type Printable } from '../print/printer.ts';
import { waitNotes } from '../print/waitNotes.ts';
import { parseThings, type Kind, type Thing } from '../things.ts';
import { printOptions, type GetOptions } from './getOptions.ts';
import { watchThings } from './watchThings.ts';

/** Lists objects, once or with `-w` as they change. */
export async function getCommand(
  what: string,
  names: readonly string[],
  options: GetOptions,
): Promise<number> {
  const { kinds, things } = parseThings([what, ...names], null);
  checkCombination(kinds, things, options);
  checkSelector(options.selector);
  return await withClient(options, async (client) => {
    if (options.watch === true) {
      await untilInterrupted((signal) =>
        watchThings(client, kinds[0] ?? things[0]?.kind ?? 'job', things, options, signal),
      );
      return EXIT.ok;
    }
    const groups =
      things.length > 0
        ? await readThings(client, things, isWhole(options))
        : await Promise.all(kinds.map((kind) => listKind(client, kind, options)));
    await print(groups, things.length === 1, { ...options, namespace: client.namespace });
    const isTable = options.output === undefined || options.output === 'wide';
    for (const note of isTable ? await waitNotes(client, groups.flat(), Date.now()) : []) {
      process.stderr.write(`${note}\n`);
    }
    return EXIT.ok;
  });
}

function checkCombination(
  kinds: readonly Kind[],
  things: readonly Thing[],
  options: GetOptions,
): void {
  if (things.length > 0 && options.selector !== undefined) {
    throw badInput('names and a selector exclude each other');
  }
  if (things.length > 0 && options.allNamespaces === true) {
    throw badInput('a name is of one namespace: -A lists them all');
  }
  if (options.watch !== true) return;
  const watched = new Set([...kinds, ...things.map(({ kind }) => kind)]);
  if (watched.size > 1 || watched.has('node')) {
    throw badInput('-w watches objects of one kind, and no nodes');
  }
  if (things.length > 1) throw badInput('-w watches one object, or all of a kind');
  if (options.output === 'json' || options.output === 'yaml') {
    throw badInput(`-w prints lines, not ${options.output}`);
  }
}

/** Objects by kind, in the order in which they were asked for. */
async function readThings(
  client: Client,
  things: readonly Thing[],
  whole: boolean,
): Promise<Printable[][]> {
  const groups = new Map<Kind, Printable[]>();
  for (const thing of things) {
    const group = groups.get(thing.kind) ?? [];
    groups.set(thing.kind, group);
    group.push(await readThing(client, thing, whole));
  }
  return [...groups.values()];
}

/** Whether objects are printed as they are, the data of Secrets too. */
function isWhole({ output }: GetOptions): boolean {
  return output === 'json' || output === 'yaml';
}

async function readThing(
  client: Client,
  { kind, name }: Thing,
  whole: boolean,
): Promise<Printable> {
  switch (kind) {
    case 'job':
      return await client.jobs.get(name);
    case 'cronjob':
      return await client.cronJobs.get(name);
    case 'pod':
      return await client.pods.get(name);
    case 'node':
      return await client.nodes.get(name);
    case 'configmap':
      return await client.configMaps.get(name);
    case 'resourcequota':
      return await client.resourceQuotas.get(name);
    case 'priorityclass':
      return await client.priorityClasses.get(name);
    case 'secret':
      return whole ? await client.secrets.get(name) : await client.secrets.summary(name);
  }
}

async function listKind(client: Client, kind: Kind, options: GetOptions): Promise<Printable[]> {
  const { selector, allNamespaces, limit } = options;
  const query = {
    ...(selector === undefined ? {} : { labelSelector: selector }),
    ...(allNamespaces === undefined ? {} : { allNamespaces }),
    ...(limit === undefined ? {} : { limit }),
  };
  switch (kind) {
    case 'job':
      return await client.jobs.list(query);
    case 'cronjob':
      return await client.cronJobs.list(query);
    case 'pod':
      return await client.pods.list(query);
    case 'node':
      return await client.nodes.list(query);
    case 'configmap':
      return await client.configMaps.list(query);
    case 'resourcequota':
      return await client.resourceQuotas.list(query);
    case 'priorityclass':
      return await client.priorityClasses.list(query);
    case 'secret':
      return await (isWhole(options)
        ? client.secrets.list(query)
        : client.secrets.summaries(query));
  }
}

async function print(
  groups: readonly Printable[][],
  single: boolean,
  options: GetOptions,
): Promise<void> {
  const { output } = options;
  if (output === 'json' || output === 'yaml') {
    process.stdout.write(await formatDocument(groups.flat(), output, single));
    return;
  }
  if (groups.every((group) => group.length === 0)) {
    const where =
      options.allNamespaces === true ? '' : ` in ${options.namespace ?? 'default'} namespace`;
    process.stderr.write(`No resources found${where}.\n`);
    return;
  }
  const tables = groups
    .filter((group) => group.length > 0)
    .map((group) => new TablePrinter(printOptions(options)).lines(group, Date.now()).join('\n'));
  process.stdout.write(`${tables.join(output === 'name' ? '\n' : '\n\n')}\n`);
}
