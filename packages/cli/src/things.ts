import { badInput } from './errors.ts';

/** Kinds that commands are about. */
export type Kind =
  | 'job'
  | 'cronjob'
  | 'pod'
  | 'node'
  | 'configmap'
  | 'secret'
  | 'resourcequota'
  | 'priorityclass';

const KINDS: Readonly<Record<string, Kind>> = {
  job: 'job',
  jobs: 'job',
  'job.batch': 'job',
  'jobs.batch': 'job',
  cronjob: 'cronjob',
  cronjobs: 'cronjob',
  cj: 'cronjob',
  'cronjob.batch': 'cronjob',
  'cronjobs.batch': 'cronjob',
  pod: 'pod',
  pods: 'pod',
  po: 'pod',
  node: 'node',
  nodes: 'node',
  no: 'node',
  configmap: 'configmap',
  configmaps: 'configmap',
  cm: 'configmap',
  secret: 'secret',
  secrets: 'secret',
  resourcequota: 'resourcequota',
  resourcequotas: 'resourcequota',
  quota: 'resourcequota',
  priorityclass: 'priorityclass',
  priorityclasses: 'priorityclass',
  pc: 'priorityclass',
  'priorityclass.scheduling.k8s.io': 'priorityclass',
  'priorityclasses.scheduling.k8s.io': 'priorityclass',
};

/** What has a command of its own, or none: where it is instead. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ...['event', 'events', 'ev'].map((word) => [word, '`drover events` lists them'] as const),
  ...['workqueue', 'workqueues', 'wq'].map(
    (word) => [word, '`drover queue ls` lists them'] as const,
  ),
  ...['namespace', 'namespaces', 'ns'].map(
    (word) => [word, 'kubectl works with them, over `drover server` or `drover dev`'] as const,
  ),
]);

/** An object that the user named. */
export interface Thing {
  readonly kind: Kind;
  readonly name: string;
}

/** Reads a kind in any of kubectl's spellings. */
export function parseKind(text: string): Kind {
  const kind = kindOf(text);
  if (kind !== undefined) return kind;
  const elsewhere = ELSEWHERE.get(text.toLowerCase());
  throw badInput(
    `there are no "${text}": jobs, cronjobs, pods, nodes, configmaps, secrets, resourcequotas or priorityclasses`,
    elsewhere === undefined ? [] : [`  ${elsewhere}`],
  );
}

/**
 * Reads the ways to name objects: `job/pi pod/x`, `job pi other`, `jobs` (then `names` is empty).
 *
 * @param preset - What a bare name is; null when the kind must be said.
 */
export function parseThings(
  words: readonly string[],
  preset: Kind | null,
): { kinds: Kind[]; things: Thing[] } {
  const [first] = words;
  if (first === undefined) return { kinds: [], things: [] };
  if (words.some((word) => word.includes('/'))) {
    const things = words.map((word) => parseSlashed(word, preset));
    return { kinds: [], things };
  }
  if (preset !== null && kindOf(first) === undefined) {
    return { kinds: [], things: words.map((name) => ({ kind: preset, name })) };
  }
  const kinds = first.split(',').map(parseKind);
  const names = words.slice(1);
  if (names.length === 0) return { kinds, things: [] };
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) {
    throw badInput('several kinds and names: write job/NAME pod/NAME');
  }
  return { kinds: [], things: names.map((name) => ({ kind, name })) };
}

function parseSlashed(word: string, preset: Kind | null): Thing {
  const slash = word.indexOf('/');
  if (slash < 0) {
    if (preset === null) throw badInput(`"${word}": write job/NAME or pod/NAME`);
    return { kind: preset, name: word };
  }
  const name = word.slice(slash + 1);
  if (name === '' || name.includes('/')) throw badInput(`"${word}" has no name: write job/NAME`);
  return { kind: parseKind(word.slice(0, slash)), name };
}

const GROUPS: Partial<Record<Kind, string>> = {
  job: 'batch',
  cronjob: 'batch',
  priorityclass: 'scheduling.k8s.io',
};

/** How an object is called in messages: `job.batch/pi`, `pod/pi-x7k2p`, `node/a`. */
export function refText({ kind, name }: Thing): string {
  const group = GROUPS[kind];
  return group === undefined ? `${kind}/${name}` : `${kind}.${group}/${name}`;
}

function kindOf(text: string): Kind | undefined {
  const word = text.toLowerCase();
  // `constructor` is a word that somebody may give, too.
  return Object.hasOwn(KINDS, word) ? KINDS[word] : undefined;
}
