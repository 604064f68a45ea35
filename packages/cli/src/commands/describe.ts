import { checkSelector, withClient, type Client } from '../client.ts';
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
  return await withClient(options, async (client) => {
    const wanted = [...things];
    for (const kind of kinds) wanted.push(...(await listThings(client, kind, options)));
    const found: Description[] = [];
    for (const thing of wanted) found.push(await describe(client, thing));
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
  client: Client,
  kind: Kind,
  { selector }: DescribeOptions,
): Promise<Thing[]> {
  const query = selector === undefined ? {} : { labelSelector: selector };
  const lists = {
    job: () => client.jobs.list(query),
    cronjob: () => client.cronJobs.list(query),
    pod: () => client.pods.list(query),
    node: () => client.nodes.list(query),
    configmap: () => client.configMaps.list(query),
    secret: () => client.secrets.summaries(query),
    resourcequota: () => client.resourceQuotas.list(query),
    priorityclass: () => client.priorityClasses.list(query),
  };
  const objects = await lists[kind]();
  return objects.map(({ metadata }) => ({ kind, name: metadata.name }));
}

async function describe(client: Client, { kind, name }: Thing): Promise<Description> {
  const nowMs = Date.now();
  switch (kind) {
    case 'job': {
      const job = await client.jobs.get(name);
      const { uid } = job.metadata;
      const [waiting, pods, workQueue, events] = await Promise.all([
        client.jobs.whyWaiting(job),
        client.pods.list({ job, newest: MAX_PODS_READ }),
        readWorkQueueOf(client, job),
        client.events.list({ about: { kind: 'Job', name, uid } }),
      ]);
      const lines = describeJob({ job, waiting, pods, events, workQueue }, nowMs);
      const data = { job, waiting, events };
      return { lines, data: workQueue === null ? data : { ...data, workQueue } };
    }
    case 'cronjob': {
      const cronJob = await client.cronJobs.get(name);
      const { uid } = cronJob.metadata;
      const events = await client.events.list({ about: { kind: 'CronJob', name, uid } });
      return { lines: describeCronJob(cronJob, events, nowMs), data: { cronJob, events } };
    }
    case 'pod': {
      const pod = await client.pods.get(name);
      const { uid } = pod.metadata;
      const events = await client.events.list({ about: { kind: 'Pod', name, uid } });
      return { lines: describePod(pod, events, nowMs), data: { pod, events } };
    }
    case 'node': {
      const node = await client.nodes.get(name);
      const pods = await client.pods.list({ node: name, allNamespaces: true });
      return { lines: describeNode(node, pods, nowMs), data: { node, pods } };
    }
    case 'configmap': {
      const configMap = await client.configMaps.get(name);
      return { lines: describeConfigMap(configMap), data: { configMap } };
    }
    case 'resourcequota': {
      const resourceQuota = await client.resourceQuotas.get(name);
      return { lines: describeResourceQuota(resourceQuota), data: { resourceQuota } };
    }
    case 'priorityclass': {
      const priorityClass = await client.priorityClasses.get(name);
      return { lines: describePriorityClass(priorityClass), data: { priorityClass } };
    }
    case 'secret': {
      // What is in it is for those who ask for it with `get -o yaml`.
      const secret = await client.secrets.summary(name);
      return { lines: describeSecret(secret), data: { secret } };
    }
  }
}
