import { Drover, type Job } from '@drover/sdk/client';
import { jobStatusWord, nodeStatusWord, podStatusWord, POOL_LABEL } from '@drover/shared';

import type { Client } from '../client.ts';
import { findEngine } from '../engine/address.ts';
import { queueStatusWord } from '../queues.ts';
import { findServer } from '../remote/address.ts';
import { RemoteClient } from '../remote/client.ts';
import type { Candidate, Names } from './line.ts';

/** More would not be read. */
const MAX_NAMES = 500;
/** A shell that waits longer than this for the Tab key feels broken. */
const TIMEOUT_MS = 1_500;

/** Names from the engine, or the API server, that the options of the line mean; none when it does not answer in time. */
export function engineNames(options: Readonly<Record<string, string>>): Names {
  const read = <T>(
    list: (client: Client) => Promise<readonly T[]>,
    candidate: (object: T) => Candidate,
  ) => ask(options, async (client) => (await list(client)).map(candidate));
  const allJobs = (client: Client): Promise<Job[]> =>
    client.jobs.list({ allNamespaces: true, limit: MAX_NAMES });
  return {
    jobs: () =>
      read(
        (client) => client.jobs.list({ limit: MAX_NAMES }),
        (job) => ({ value: job.metadata.name, text: jobStatusWord(job) }),
      ),
    cronJobs: () =>
      read(
        (client) => client.cronJobs.list({ limit: MAX_NAMES }),
        ({ metadata, spec }) => ({ value: metadata.name, text: spec.schedule }),
      ),
    pods: () =>
      read(
        (client) => client.pods.list({ limit: MAX_NAMES }),
        (pod) => ({ value: pod.metadata.name, text: podStatusWord(pod) }),
      ),
    nodes: () =>
      read(
        (client) => client.nodes.list({ limit: MAX_NAMES }),
        (node) => ({ value: node.metadata.name, text: nodeStatusWord(node) }),
      ),
    configMaps: () =>
      read(
        (client) => client.configMaps.list({ limit: MAX_NAMES }),
        ({ metadata }) => ({ value: metadata.name, text: '' }),
      ),
    priorityClasses: () =>
      read(
        (client) => client.priorityClasses.list({ limit: MAX_NAMES }),
        ({ metadata, value }) => ({ value: metadata.name, text: String(value) }),
      ),
    resourceQuotas: () =>
      read(
        (client) => client.resourceQuotas.list({ limit: MAX_NAMES }),
        ({ metadata }) => ({ value: metadata.name, text: '' }),
      ),
    secrets: () =>
      read(
        (client) => client.secrets.summaries({ limit: MAX_NAMES }),
        ({ metadata, type }) => ({ value: metadata.name, text: type }),
      ),
    workQueues: () =>
      read(
        (client) => client.workQueues.list(),
        (queue) => ({ value: queue.metadata.name, text: queueStatusWord(queue) }),
      ),
    namespaces: async () =>
      distinct(await read(allJobs, ({ metadata }) => ({ value: metadata.namespace, text: '' }))),
    pools: async () =>
      distinct(
        await read(
          (client) => client.nodes.list(),
          ({ metadata }) => ({ value: metadata.labels?.[POOL_LABEL] ?? '', text: '' }),
        ),
      ),
  };
}

async function ask(
  options: Readonly<Record<string, string>>,
  question: (client: Client) => Promise<readonly Candidate[]>,
): Promise<readonly Candidate[]> {
  const nothing = Promise.withResolvers<readonly Candidate[]>();
  const timer = setTimeout(() => nothing.resolve([]), TIMEOUT_MS);
  // A line that is being typed is no place for errors.
  const answer = askEngine(options, question).catch(() => []);
  const candidates = await Promise.race([answer, nothing.promise]);
  clearTimeout(timer);
  return candidates;
}

async function askEngine(
  options: Readonly<Record<string, string>>,
  question: (client: Client) => Promise<readonly Candidate[]>,
): Promise<readonly Candidate[]> {
  const client = await openClient(options);
  if (client === null) return [];
  try {
    return await question(client);
  } finally {
    await client.close();
  }
}

async function openClient(options: Readonly<Record<string, string>>): Promise<Client | null> {
  const prefix = options['prefix'] ?? process.env['DROVER_PREFIX'];
  const namespace = options['namespace'] ?? process.env['DROVER_NAMESPACE'];
  const server = await findServer(options);
  if (server !== null) return new RemoteClient(server, namespace);
  const address = await findEngine({ ...options, prefix });
  if (address === null) return null;
  return new Drover({
    connection: address.url,
    ...(address.prefix === undefined ? {} : { prefix: address.prefix }),
    ...(namespace === undefined ? {} : { namespace }),
  });
}

function distinct(candidates: readonly Candidate[]): Candidate[] {
  return [...new Map(candidates.map((candidate) => [candidate.value, candidate])).values()];
}
