import type { ExplainedKind } from '@drover/shared/explain';
import { startingWith, type Candidate, type Completion, type Line, type Names } from './line.ts';

type Argument = (line: Line, names: Names) => Promise<Completion>;

const KINDS = [
  'job',
  'cronjob',
  'pod',
  'node',
  'configmap',
  'secret',
  'resourcequota',
  'priorityclass',
] as const;
type Kind = (typeof KINDS)[number];

/** What the arguments of commands may be; by the command's name. */
export const ARGUMENTS: Readonly<Record<string, Argument>> = {
  get: (line, names) => things(line, names, KINDS),
  describe: (line, names) => things(line, names, KINDS),
  delete: (line, names) =>
    things(
      line,
      names,
      KINDS.filter((kind) => kind !== 'node'),
    ),
  logs: logs,
  wait: jobs,
  scale: jobs,
  suspend: jobsAndCronJobs,
  resume: jobsAndCronJobs,
  enqueue: enqueue,
  ...Object.fromEntries(
    ['stats', 'results', 'dead', 'retry', 'clear', 'seal', 'delete'].map((verb) => [
      `queue ${verb}`,
      workQueue,
    ]),
  ),
  'secret-key create': () => Promise.resolve({ mode: 'files', candidates: [] }),
  ...Object.fromEntries(
    ['preview', 'history', 'backfill', 'trigger'].map((verb) => [`cron ${verb}`, cronJob]),
  ),
  explain: fields,
  completion: ({ current, positionals }) =>
    Promise.resolve(
      startingWith(current, positionals.length > 0 ? [] : words('bash', 'zsh', 'fish')),
    ),
};

const EXPLAINED: Readonly<Record<string, ExplainedKind>> = {
  job: 'Job',
  cronjob: 'CronJob',
  pod: 'Pod',
  node: 'Node',
  configmap: 'ConfigMap',
  secret: 'Secret',
  resourcequota: 'ResourceQuota',
  priorityclass: 'PriorityClass',
  workqueue: 'WorkQueue',
};

function words(...values: readonly string[]): Candidate[] {
  return values.map((value) => ({ value, text: '' }));
}

/** `job/NAME`, or `jobs` and then names. */
async function things(
  { current, positionals }: Line,
  names: Names,
  kinds: readonly Kind[],
): Promise<Completion> {
  const [kind, name] = current.split(/\/(.*)/s);
  if (name !== undefined) {
    const found = kinds.find((candidate) => candidate === kind || pluralOf(candidate) === kind);
    if (found === undefined) return { mode: 'words', candidates: [] };
    return startingWith(current, prefixed(`${kind}/`, await namesOf(found, names)));
  }
  const [first] = positionals;
  const named = kinds.find((candidate) => candidate === first || pluralOf(candidate) === first);
  if (named !== undefined) {
    const candidates = await namesOf(named, names);
    return startingWith(
      current,
      candidates.filter(({ value }) => !positionals.includes(value)),
    );
  }
  // After job/NAME another of that form.
  const plurals = first === undefined ? kinds.map(pluralOf) : [];
  const open = kinds.map((candidate) => `${candidate}/`);
  const completion = startingWith(current, words(...plurals, ...open));
  const { candidates } = completion;
  const isOpen = candidates.length > 0 && candidates.every(({ value }) => value.endsWith('/'));
  return isOpen ? { ...completion, mode: 'nospace' } : completion;
}

/** `job/NAME` of Jobs that were not named yet. */
async function jobs({ current, positionals }: Line, names: Names): Promise<Completion> {
  const all = await names.jobs();
  const isBare = current !== '' && !'job/'.startsWith(current) && !current.startsWith('job/');
  const candidates = isBare ? all : prefixed('job/', all);
  return startingWith(
    current,
    candidates.filter(({ value }) => !positionals.includes(value)),
  );
}

/** The same, and `cronjob/NAME`. */
async function jobsAndCronJobs(line: Line, names: Names): Promise<Completion> {
  const { current, positionals } = line;
  const ofJobs = await jobs(line, names);
  const cronJobs = prefixed('cronjob/', await names.cronJobs());
  const ofCronJobs = startingWith(
    current,
    cronJobs.filter(({ value }) => !positionals.includes(value)),
  );
  return { ...ofJobs, candidates: [...ofJobs.candidates, ...ofCronJobs.candidates] };
}

/** A CronJob. */
async function cronJob({ current, positionals }: Line, names: Names): Promise<Completion> {
  if (positionals.length > 0) return { mode: 'words', candidates: [] };
  return startingWith(current, await names.cronJobs());
}

/** Of Jobs as a whole, or of a pod. */
async function logs({ current, positionals }: Line, names: Names): Promise<Completion> {
  if (positionals.length > 0) return { mode: 'words', candidates: [] };
  if (current.startsWith('pod/')) {
    return startingWith(current, prefixed('pod/', await names.pods()));
  }
  const candidates = [...prefixed('job/', await names.jobs()), ...(await names.pods())];
  return startingWith(current, candidates);
}

/** A work queue. */
async function workQueue({ current, positionals }: Line, names: Names): Promise<Completion> {
  if (positionals.length > 0) return { mode: 'words', candidates: [] };
  return startingWith(current, await names.workQueues());
}

/** A work queue, then files. */
async function enqueue(line: Line, names: Names): Promise<Completion> {
  return line.positionals.length === 0
    ? await workQueue(line, names)
    : { mode: 'files', candidates: [] };
}

/** The next step of a path. */
async function fields({ current, positionals }: Line): Promise<Completion> {
  if (positionals.length > 0) return { mode: 'words', candidates: [] };
  const { fieldsOf } = await import('@drover/shared/explain');
  const steps = current.split('.');
  const [kind, ...path] = steps.slice(0, -1);
  if (kind === undefined) return startingWith(current, words(...KINDS, 'workqueue'));
  const root = EXPLAINED[kind];
  if (root === undefined) return { mode: 'words', candidates: [] };
  let field = fieldsOf(root);
  for (const step of path) {
    const next = field.fields.find(({ name }) => name === step);
    if (next === undefined) return { mode: 'words', candidates: [] };
    field = next;
  }
  const parent = steps.slice(0, -1).join('.');
  const candidates = field.fields.map(({ name, text }) => ({ value: `${parent}.${name}`, text }));
  return { ...startingWith(current, candidates), mode: 'nospace' };
}

async function namesOf(kind: Kind, names: Names): Promise<readonly Candidate[]> {
  switch (kind) {
    case 'job':
      return await names.jobs();
    case 'cronjob':
      return await names.cronJobs();
    case 'pod':
      return await names.pods();
    case 'node':
      return await names.nodes();
    case 'configmap':
      return await names.configMaps();
    case 'secret':
      return await names.secrets();
    case 'resourcequota':
      return await names.resourceQuotas();
    case 'priorityclass':
      return await names.priorityClasses();
  }
}

function prefixed(prefix: string, candidates: readonly Candidate[]): Candidate[] {
  return candidates.map(({ value, text }) => ({ value: prefix + value, text }));
}

function pluralOf(kind: Kind): string {
  return kind.endsWith('s') ? `${kind}es` : `${kind}s`;
}
