import { ageText, NotFoundError, type CoreV1Event } from '@drover/shared';
import type { Backend } from '@drover/sdk/internals';

import { requiredValue } from '../api/fieldSelector.ts';
import type { Page, PageRequest, Resource, WatchEvent, WatchRequest } from '../api/resource.ts';
import type { SelectableFields } from '../api/selection.ts';
import type { Column, TableDefinition } from '../api/table.ts';
import { field, kindField } from '../openapi/fields.ts';
import { PolledWatch, versionNow } from '../watch/polledWatch.ts';
import { textColumn } from './columns.ts';
import { pageOf } from './paging.ts';

const age = (name: string, time: 'firstTimestamp' | 'lastTimestamp', priority: 0 | 1) =>
  textColumn<CoreV1Event>(
    name,
    'When it was seen.',
    (event, nowMs) => ageText(event[time], nowMs),
    priority,
  );

const NAME: Column<CoreV1Event> = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name of the event.',
  priority: 1,
  cell: ({ metadata }) => metadata.name,
};

const TABLE: TableDefinition<CoreV1Event> = {
  columns: [
    age('Last Seen', 'lastTimestamp', 0),
    textColumn<CoreV1Event>('Type', 'Normal or Warning.', ({ type }) => type),
    textColumn<CoreV1Event>('Reason', 'What happened, in a word.', ({ reason }) => reason),
    textColumn<CoreV1Event>('Object', 'What it happened to.', objectText),
    textColumn<CoreV1Event>('Subobject', 'Without meaning here.', () => '', 1),
    textColumn<CoreV1Event>('Source', 'Who says so.', sourceText, 1),
    textColumn<CoreV1Event>(
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

function objectText({ involvedObject }: CoreV1Event): string {
  return `${involvedObject.kind.toLowerCase()}/${involvedObject.name}`;
}

function sourceText({ source }: CoreV1Event): string {
  return source.host === undefined ? source.component : `${source.component}, ${source.host}`;
}

const FIELDS: SelectableFields<CoreV1Event> = {
  'involvedObject.kind': ({ involvedObject }) => involvedObject.kind,
  'involvedObject.namespace': ({ involvedObject }) => involvedObject.namespace ?? '',
  'involvedObject.name': ({ involvedObject }) => involvedObject.name,
  'involvedObject.uid': ({ involvedObject }) => involvedObject.uid,
  'involvedObject.apiVersion': ({ involvedObject }) => involvedObject.apiVersion,
  'involvedObject.resourceVersion': () => '',
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
  field('reportingInstance', 'string', 'The worker, or empty.'),
]);

/** Events: what happened to objects. */
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
  readonly #watch: PolledWatch<CoreV1Event>;
  /** What was read for watches, and the newest resourceVersions then. */
  #read: { readonly versions: string; readonly events: readonly CoreV1Event[] } | null = null;

  constructor(backend: Backend) {
    this.#backend = backend;
    const kind = { apiVersion: 'v1', kind: 'Event' };
    this.#watch = new PolledWatch(kind, () => this.#readChanged());
  }

  async get(name: string, namespace: string): Promise<CoreV1Event> {
    const event = await this.#backend.onShard(namespace, ({ events }) =>
      events.get(namespace, name),
    );
    if (event === null) throw new NotFoundError({ resource: 'events', name, namespace });
    return event;
  }

  async list(request: PageRequest): Promise<Page> {
    const resourceVersion = String(versionNow());
    const { namespace, selection } = request;
    const objectName = requiredValue(selection.fields, 'involvedObject.name');
    return pageOf(request, await this.#list(namespace, objectName), resourceVersion);
  }

  watch(request: WatchRequest): AsyncGenerator<WatchEvent> {
    return this.#watch.watch(request);
  }

  /** Ends all watches. */
  close(): void {
    this.#watch.close();
  }

  async #list(namespace: string | null, objectName: string | null): Promise<CoreV1Event[]> {
    const store = await this.#backend.store();
    const shards = namespace === null ? store.shards : [store.shardOf(namespace)];
    const query = { namespace, ...(objectName !== null && { objectName }) };
    const found = await Promise.all(
      shards.map((shard) => this.#backend.run(() => shard.events.list(query))),
    );
    return inOrder(found.flat());
  }

  /** A look finds nothing new most of the time: then it costs one short read for each shard. */
  async #readChanged(): Promise<readonly CoreV1Event[]> {
    const { shards } = await this.#backend.store();
    const newest = await Promise.all(
      shards.map((shard) => this.#backend.run(() => shard.events.newest())),
    );
    const versions = newest.join(' ');
    if (this.#read?.versions !== versions) {
      this.#read = { versions, events: await this.#list(null, null) };
    }
    return this.#read.events;
  }
}

function inOrder(events: readonly CoreV1Event[]): CoreV1Event[] {
  return events.toSorted((a, b) => {
    const [x, y] = [a, b].map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
    return (x ?? '') < (y ?? '') ? -1 : 1;
  });
}
