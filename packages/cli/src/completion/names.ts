import { Drover, type Job } from '@drover/sdk/client';
import { jobStatusWord, nodeStatusWord, podStatusWord, POOL_LABEL } from '@drover/shared';

import { findEngine } from '../engine/address.ts';
import { queueStatusWord } from '../queues.ts';
import type { Candidate, Names } from './line.ts';

/** More would not be read. */
const MAX_NAMES = 500;
/** A shell that waits longer than this for the Tab key feels broken. */
const TIMEOUT_MS = 1_500;

/** Names from the engine that the options of the line mean; none when it does not answer in time. */
export function engineNames(options: Readonly<Record<string, string>>): Names {
  const read = <T>(
    list: (drover: Drover) => Promise<readonly T[]>,
    candidate: (object: T) => Candidate,
  ) => ask(options, async (drover) => (await list(drover)).map(candidate));
  const allJobs = (drover: Drover): Promise<Job[]> =>
    drover.jobs.list({ allNamespaces: true, limit: MAX_NAMES });
  return {
    jobs: () =>
      read(
        (drover) => drover.jobs.list({ limit: MAX_NAMES }),
        (job) => ({ value: job.metadata.name, text: jobStatusWord(job) }),
      ),
    cronJobs: () =>
      read(
        (drover) => drover.cronJobs.list({ limit: MAX_NAMES }),
        ({ metadata, spec }) => ({ value: metadata.name, text: spec.schedule }),
      ),
    pods: () =>
      read(
        (drover) => drover.pods.list({ limit: MAX_NAMES }),
        (pod) => ({ value: pod.metadata.name, text: podStatusWord(pod) }),
      ),
    nodes: () =>
      read(
        (drover) => drover.nodes.list({ limit: MAX_NAMES }),
        (node) => ({ value: node.metadata.name, text: nodeStatusWord(node) }),
      ),
    configMaps: () =>
      read(
        (drover) => drover.configMaps.list({ limit: MAX_NAMES }),
        ({ metadata }) => ({ value: metadata.name, text: '' }),
      ),
    priorityClasses: () =>
      read(
        (drover) => drover.priorityClasses.list({ limit: MAX_NAMES }),
        ({ metadata, value }) => ({ value: metadata.name, text: String(value) }),
      ),
    resourceQuotas: () =>
      read(
        (drover) => drover.resourceQuotas.list({ limit: MAX_NAMES }),
        ({ metadata }) => ({ value: metadata.name, text: '' }),
      ),
    secrets: () =>
      read(
        (drover) => drover.secrets.summaries({ limit: MAX_NAMES }),
        ({ metadata, type }) => ({ value: metadata.name, text: type }),
      ),
    workQueues: () =>
      read(
        (drover) => drover.workQueues.list(),
        (queue) => ({ value: queue.metadata.name, text: queueStatusWord(queue) }),
      ),
    namespaces: async () =>
      distinct(await read(allJobs, ({ metadata }) => ({ value: metadata.namespace, text: '' }))),
    pools: async () =>
      distinct(
        await read(
          (drover) => drover.nodes.list(),
          ({ metadata }) => ({ value: metadata.labels?.[POOL_LABEL] ?? '', text: '' }),
        ),
      ),
  };
}

async function ask(
  options: Readonly<Record<string, string>>,
  question: (drover: Drover) => Promise<readonly Candidate[]>,
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
  question: (drover: Drover) => Promise<readonly Candidate[]>,
): Promise<readonly Candidate[]> {
  const prefix = options['prefix'] ?? process.env['DROVER_PREFIX'];
  const namespace = options['namespace'] ?? process.env['DROVER_NAMESPACE'];
  const address = await findEngine({ ...options, prefix });
  if (address === null) return [];
  const drover = new Drover({
    connection: address.url,
    ...(address.prefix === undefined ? {} : { prefix: address.prefix }),
    ...(namespace === undefined ? {} : { namespace }),
  });
  try {
    return await question(drover);
  } finally {
    await drover.close();
  }
}

function distinct(candidates: readonly Candidate[]): Candidate[] {
  return [...new Map(candidates.map((candidate) => [candidate.value, candidate])).values()];
}
