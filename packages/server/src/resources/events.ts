import { createHash } from 'node:crypto';

import {
  ageText,
  jobEvents,
  NotFoundError,
  podEvents,
  type DerivedEvent,
  type Job,
  type Pod,
} from '@drover/shared';
import { composeJobs, PodsClient, JobsClient, type Backend } from '@drover/sdk/internals';

import { requiredValue } from '../api/fieldSelector.ts';
import type { ApiObject } from '../api/object.ts';
import type { Page, PageRequest, Resource, WatchEvent, WatchRequest } from '../api/resource.ts';
import type { SelectableFields } from '../api/selection.ts';
import type { Column, TableDefinition } from '../api/table.ts';
import { field, kindField } from '../openapi/fields.ts';
import { PolledWatch, versionNow } from '../watch/polledWatch.ts';
import { textColumn } from './columns.ts';
import { pageOf } from './paging.ts';

/** Names an object that an event is about. */
interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion?: string;
}

/** An event as the API shows it. */
interface ShownEvent extends ApiObject {
  readonly involvedObject: ObjectReference;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  readonly source: { readonly component: string; readonly host?: string };
  readonly count: number;
  readonly firstTimestamp: string;
  readonly lastTimestamp: string;
  readonly reportingComponent: string;
  readonly reportingInstance: string;
}

const age = (name: string, time: 'firstTimestamp' | 'lastTimestamp', priority: 0 | 1) =>
  textColumn<ShownEvent>(
    name,
    'When it was seen.',
    (event, nowMs) => ageText(event[time], nowMs),
    priority,
  );

const NAME: Column<ShownEvent> = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name of the event.',
  priority: 1,
  cell: ({ metadata }) => metadata.name,
};

const TABLE: TableDefinition<ShownEvent> = {
  columns: [
    age('Last Seen', 'lastTimestamp', 0),
    textColumn<ShownEvent>('Type', 'Normal or Warning.', ({ type }) => type),
    textColumn<ShownEvent>('Reason', 'What happened, in a word.', ({ reason }) => reason),
    textColumn<ShownEvent>('Object', 'What it happened to.', objectText),
    textColumn<ShownEvent>('Subobject', 'Without meaning here.', () => '', 1),
    textColumn<ShownEvent>('Source', 'Who says so.', sourceText, 1),
    textColumn<ShownEvent>(
      'Message',
      'What happened.',
      ({ message }) => message.split('\n')[0] ?? '',
    ),
    age('First Seen', 'firstTimestamp', 1),
    {
      name: 'Count',
      type: 'integer',
      description: 'How often it was seen.',
      priority: 1,
      cell: ({ count }) => count,
    },
    NAME,
  ],
};

function objectText({ involvedObject }: ShownEvent): string {
  return `${involvedObject.kind.toLowerCase()}/${involvedObject.name}`;
}

function sourceText({ source }: ShownEvent): string {
  return source.host === undefined ? source.component : `${source.component}, ${source.host}`;
}

const FIELDS: SelectableFields<ShownEvent> = {
  'involvedObject.kind': ({ involvedObject }) => involvedObject.kind,
  'involvedObject.namespace': ({ involvedObject }) => involvedObject.namespace,
  'involvedObject.name': ({ involvedObject }) => involvedObject.name,
  'involvedObject.uid': ({ involvedObject }) => involvedObject.uid,
  'involvedObject.apiVersion': ({ involvedObject }) => involvedObject.apiVersion,
  'involvedObject.resourceVersion': ({ involvedObject }) => involvedObject.resourceVersion ?? '',
  'involvedObject.fieldPath': () => '',
  reason: ({ reason }) => reason,
  reportingComponent: ({ reportingComponent }) => reportingComponent,
  source: ({ source }) => source.component,
  type: ({ type }) => type,
};

const EXPLAINED = kindField('Event', 'Something that happened to an object.', [
  field('involvedObject', 'Object', 'What it happened to.', [
    field('apiVersion', 'string', 'Group and version of the object.'),
    field('kind', 'string', 'Kind of the object.'),
    field('namespace', 'string', 'Namespace of the object.'),
    field('name', 'string', 'Name of the object.'),
    field('uid', 'string', 'Uid of the object.'),
    field('resourceVersion', 'string', 'Version of the object.'),
  ]),
  field('type', 'string', 'Normal or Warning.'),
  field('reason', 'string', 'What happened, in a word.'),
  field('message', 'string', 'What happened, for people.'),
  field('source', 'Object', 'Who says so.', [
    field('component', 'string', 'What it is.'),
    field('host', 'string', 'The worker.'),
  ]),
  field('count', 'integer', 'How often it happened.'),
  field('firstTimestamp', 'string', 'When it was seen first.'),
  field('lastTimestamp', 'string', 'When it was seen last.'),
  field('reportingComponent', 'string', 'Who says so.'),
  field('reportingInstance', 'string', 'Empty.'),
]);

/** Of a Job only so many pods, the newest, are asked what happened to them. */
const PODS_PER_JOB = 20;
/** Jobs read at once. */
const PAGE_SIZE = 500;

/** Events: what happened to Jobs and pods, told from what is stored of them. */
export class EventsResource implements Resource {
  readonly group = '';
  readonly version = 'v1';
  readonly plural = 'events';
  readonly singular = 'event';
  readonly kind = 'Event';
  readonly isNamespaced = true;
  readonly shortNames = ['ev'];
  readonly categories = [];
  readonly explained = EXPLAINED;
  readonly table = TABLE;
  readonly fields = FIELDS;
  readonly hasStatus = false;
  readonly #backend: Backend;
  readonly #jobs: JobsClient;
  readonly #pods: PodsClient;
  readonly #watch: PolledWatch<ShownEvent>;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.#jobs = new JobsClient(backend, 'default');
    this.#pods = new PodsClient(backend, 'default');
    const kind = { apiVersion: 'v1', kind: 'Event' };
    this.#watch = new PolledWatch(
      kind,
      async () => inOrder(await this.#all(null)),
      ({ count, message }) => `${count} ${message}`,
    );
  }

  async get(name: string, namespace: string): Promise<ShownEvent> {
    const all = await this.#all(namespace);
    const event = all.find(({ metadata }) => metadata.name === name);
    if (event === undefined) throw new NotFoundError({ resource: 'events', name, namespace });
    return event;
  }

  async list(request: PageRequest): Promise<Page> {
    const resourceVersion = String(versionNow());
    const { namespace, selection } = request;
    const name = requiredValue(selection.fields, 'involvedObject.name');
    const kind = requiredValue(selection.fields, 'involvedObject.kind');
    const events =
      name !== null && namespace !== null
        ? await this.#about(kind, name, namespace)
        : await this.#all(namespace);
    return pageOf(request, inOrder(events), resourceVersion);
  }

  watch(request: WatchRequest): AsyncGenerator<WatchEvent> {
    return this.#watch.watch(request);
  }

  /** Ends all watches. */
  close(): void {
    this.#watch.close();
  }

  async #about(kind: string | null, name: string, namespace: string): Promise<ShownEvent[]> {
    const events: ShownEvent[] = [];
    if (kind === null || kind === 'Job') {
      const job = await orNull(this.#jobs.get(name, { namespace }));
      if (job !== null) events.push(...(await this.#ofJob(job)).own);
    }
    if (kind === null || kind === 'Pod') {
      const pod = await orNull(this.#pods.get(name, { namespace }));
      if (pod !== null) events.push(...podEvents(pod).map((event) => shown(pod, event)));
    }
    return events;
  }

  async #all(namespace: string | null): Promise<ShownEvent[]> {
    const store = await this.#backend.store();
    const events: ShownEvent[] = [];
    for (const shard of namespace === null ? store.shards : [store.shardOf(namespace)]) {
      let after: string | null = null;
      do {
        const from: { after?: string } = after === null ? {} : { after };
        const page = await this.#backend.run(() =>
          shard.listJobs({ namespace, limit: PAGE_SIZE, ...from }),
        );
        for (const job of await this.#backend.run(() => composeJobs(shard, page.jobs))) {
          const { own, ofPods } = await this.#ofJob(job);
          events.push(...own, ...ofPods);
        }
        after = page.next;
      } while (after !== null);
    }
    return events;
  }

  async #ofJob(job: Job): Promise<{ own: ShownEvent[]; ofPods: ShownEvent[] }> {
    const { namespace } = job.metadata;
    const pods = (await orNull(this.#pods.list({ job, namespace, newest: PODS_PER_JOB }))) ?? [];
    return {
      own: jobEvents(job, pods).map((event) => shown(job, event)),
      ofPods: pods.flatMap((pod) => podEvents(pod).map((event) => shown(pod, event))),
    };
  }
}

/** What was deleted meanwhile has nothing to tell. */
async function orNull<T>(read: Promise<T>): Promise<T | null> {
  try {
    return await read;
  } catch (error) {
    if (error instanceof NotFoundError) return null;
    throw error;
  }
}

function inOrder(events: readonly ShownEvent[]): ShownEvent[] {
  return events.toSorted((a, b) => {
    const [x, y] = [a, b].map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
    return (x ?? '') < (y ?? '') ? -1 : 1;
  });
}

/** Who of Kubernetes would say so. */
function sourceOf(from: string): ShownEvent['source'] {
  if (from === 'user' || from === 'controller') return { component: 'job-controller' };
  return { component: 'worker', host: from };
}

function shown({ apiVersion, kind, metadata }: Job | Pod, event: DerivedEvent): ShownEvent {
  const { namespace, name, uid } = metadata;
  const { type, reason, message, count, firstTimestamp, lastTimestamp } = event;
  const source = sourceOf(event.from);
  const hash = createHash('sha256').update(`${uid} ${reason} ${firstTimestamp}`).digest('hex');
  const digits = `${hash.slice(0, 12)}8${hash.slice(12, 15)}8${hash.slice(15, 30)}`;
  const ownUid = digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: {
      name: `${name}.${hash.slice(0, 16)}`,
      namespace,
      uid: ownUid,
      resourceVersion: String(Date.parse(lastTimestamp) * 4_096),
      creationTimestamp: firstTimestamp,
    },
    involvedObject: { apiVersion, kind, namespace, name, uid },
    type,
    reason,
    message,
    source,
    count,
    firstTimestamp,
    lastTimestamp,
    reportingComponent: source.component,
    reportingInstance: source.host ?? '',
  };
}
