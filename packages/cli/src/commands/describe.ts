import type { Drover } from '@drover/sdk/client';

import { checkSelector, withClient } from '../client.ts';
import { describeJob } from '../describe/job.ts';
import { describeCronJob } from '../describe/cronJob.ts';
import { describeConfigMap, describeSecret } from '../describe/config.ts';
import { describePriorityClass } from '../describe/priorityClass.ts';
import { describeResourceQuota } from '../describe/resourceQuota.ts';
import { describeNode } from '../describe/node.ts';
import { paint } from '../describe/layout.ts';
import { describePod } from '../describe/pod.ts';
import { readWorkQueueOf } from '../describe/workQueue.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import type { ObjectOptions } from '../options.ts';
import { coloursFor } from '../text/colours.ts';
import { parseThings, type Kind, type Thing } from '../things.ts';

/** Options of `drover describe`. */
export interface DescribeOptions extends ObjectOptions {
  selector?: string;
  json?: boolean;
}

/** Of a Job with more pods only the newest are looked at. */
const MAX_PODS_READ = 1000;

/** A description: for people, and the same as data. */
interface Description {
  readonly lines: readonly string[];
  readonly data: object;
}

/** Describes objects: what is asked for, how it stands, what happened. */
export async function describeCommand(
  words: readonly string[],
  options: DescribeOptions,
): Promise<number> {
  const { kinds, things } = parseThings(words, null);
  if (things.length > 0 && options.selector !== undefined) {
    throw badInput('names and a selector exclude each other');
  }
  checkSelector(options.selector);
  return await withClient(options, async (drover) => {
    const wanted = [...things];
    for (const kind of kinds) wanted.push(...(await listThings(drover, kind, options)));
    const found: Description[] = [];
    for (const thing of wanted) found.push(await describe(drover, thing));
    if (options.json === true) {
      const data = found.map((description) => description.data);
      process.stdout.write(`${JSON.stringify(things.length === 1 ? data[0] : data, null, 2)}\n`);
    } else if (found.length === 0) {
      process.stderr.write('No resources found.\n');
    } else {
      const colours = coloursFor(process.stdout);
      const texts = found.map(({ lines }) => `${paint(lines, colours).join('\n')}\n`);
      process.stdout.write(texts.join('\n\n'));
    }
    return EXIT.ok;
  });
}

async function listThings(
  drover: Drover,
  kind: Kind,
  { selector }: DescribeOptions,
): Promise<Thing[]> {
  const query = selector === undefined ? {} : { labelSelector: selector };
  const lists = {
    job: () => drover.jobs.list(query),
    cronjob: () => drover.cronJobs.list(query),
    pod: () => drover.pods.list(query),
    node: () => drover.nodes.list(query),
    configmap: () => drover.configMaps.list(query),
    secret: () => drover.secrets.summaries(query),
    resourcequota: () => drover.resourceQuotas.list(query),
    priorityclass: () => drover.priorityClasses.list(query),
  };
  const objects = await lists[kind]();
  return objects.map(({ metadata }) => ({ kind, name: metadata.name }));
}

async function describe(drover: Drover, { kind, name }: Thing): Promise<Description> {
  const nowMs = Date.now();
  switch (kind) {
    case 'job': {
      const job = await drover.jobs.get(name);
      const { uid } = job.metadata;
      const [waiting, pods, workQueue, events] = await Promise.all([
        drover.jobs.whyWaiting(job),
        drover.pods.list({ job, newest: MAX_PODS_READ }),
        readWorkQueueOf(drover, job),
        drover.events.list({ about: { kind: 'Job', name, uid } }),
      ]);
      const lines = describeJob({ job, waiting, pods, events, workQueue }, nowMs);
      const data = { job, waiting, events };
      return { lines, data: workQueue === null ? data : { ...data, workQueue } };
    }
    case 'cronjob': {
      const cronJob = await drover.cronJobs.get(name);
      const { uid } = cronJob.metadata;
      const events = await drover.events.list({ about: { kind: 'CronJob', name, uid } });
      return { lines: describeCronJob(cronJob, events, nowMs), data: { cronJob, events } };
    }
    case 'pod': {
      const pod = await drover.pods.get(name);
      const { uid } = pod.metadata;
      const events = await drover.events.list({ about: { kind: 'Pod', name, uid } });
      return { lines: describePod(pod, events, nowMs), data: { pod, events } };
    }
    case 'node': {
      const node = await drover.nodes.get(name);
      const pods = await drover.pods.list({ node: name, allNamespaces: true });
      return { lines: describeNode(node, pods, nowMs), data: { node, pods } };
    }
    case 'configmap': {
      const configMap = await drover.configMaps.get(name);
      return { lines: describeConfigMap(configMap), data: { configMap } };
    }
    case 'resourcequota': {
      const resourceQuota = await drover.resourceQuotas.get(name);
      return { lines: describeResourceQuota(resourceQuota), data: { resourceQuota } };
    }
    case 'priorityclass': {
      const priorityClass = await drover.priorityClasses.get(name);
      return { lines: describePriorityClass(priorityClass), data: { priorityClass } };
    }
    case 'secret': {
      // What is in it is for those who ask for it with `get -o yaml`.
      const secret = await drover.secrets.summary(name);
      return { lines: describeSecret(secret), data: { secret } };
    }
  }
}
