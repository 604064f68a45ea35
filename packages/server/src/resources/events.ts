import { randomInt } from 'node:crypto';

import {
  ageText,
  AlreadyExistsError,
  ConflictError,
  EVENT_KIND,
  EVENT_V1_KIND,
  generateName,
  NotFoundError,
  parseObject,
  parseObjectUpdate,
  toClientEvent,
  toEventV1,
  type ClientEvent,
  type CoreV1Event,
  type EventV1,
} from '@drover/shared';
import type { Field } from '@drover/shared/explain';
import type { Backend } from '@drover/sdk/internals';

import { requiredValue } from '../api/fieldSelector.ts';
import type { ApiObject } from '../api/object.ts';
import type {
  DeleteOptions,
  Page,
  PageRequest,
  WatchEvent,
  WatchRequest,
  WriteOptions,
} from '../api/resource.ts';
import type { SelectableFields } from '../api/selection.ts';
import type { Column } from '../api/table.ts';
import { field, kindField } from '../openapi/fields.ts';
import { versionNow } from '../watch/polledWatch.ts';
import { KindResource } from './base.ts';
import { numberColumn, textColumn } from './columns.ts';
import { EventLog } from './eventLog.ts';
import { pageOf } from './paging.ts';
import { checkPreconditions } from './preconditions.ts';

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

const COLUMNS: readonly Column<CoreV1Event>[] = [
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
  numberColumn<CoreV1Event>('Count', 'How often it was seen.', ({ count }) => count, 1),
  NAME,
];

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

const REFERENCE = [
  field('apiVersion', 'string', 'Group and version of the object.'),
  field('kind', 'string', 'Kind of the object.'),
  field('namespace', 'string', 'Namespace of the object.'),
  field('name', 'string', 'Name of the object.'),
  field('uid', 'string', 'Uid of the object.'),
  field('resourceVersion', 'string', 'Version of the object.'),
  field('fieldPath', 'string', 'The part of the object.'),
];

const SOURCE = [
  field('component', 'string', 'What it is.'),
  field('host', 'string', 'The worker.'),
];

/** What both versions call the same. */
const SHARED = [
  field('eventTime', 'string', 'When it was seen first, to the microsecond.'),
  field('series', 'Object', 'It goes on happening.', [
    field('count', 'integer', 'How often it happened.'),
    field('lastObservedTime', 'string', 'When it was seen last.'),
  ]),
  field('action', 'string', 'What was done.'),
  field('related', 'Object', 'Another object that has to do with it.', REFERENCE),
];

const EXPLAINED = kindField('Event', 'Something that happened to an object.', [
  field('involvedObject', 'Object', 'What it happened to.', REFERENCE),
  field('type', 'string', 'Normal or Warning.'),
  field('reason', 'string', 'What happened, in a word.'),
  field('message', 'string', 'What happened, for people.'),
  field('source', 'Object', 'Who says so.', SOURCE),
  field('count', 'integer', 'How often it happened.'),
  field('firstTimestamp', 'string', 'When it was seen first.'),
  field('lastTimestamp', 'string', 'When it was seen last.'),
  field('reportingComponent', 'string', 'Who says so.'),
  field('reportingInstance', 'string', 'The worker, or empty.'),
  ...SHARED,
]);

const EXPLAINED_V1 = kindField('Event', 'Something that happened to an object.', [
  field('regarding', 'Object', 'What it happened to.', REFERENCE),
  field('type', 'string', 'Normal or Warning.'),
  field('reason', 'string', 'What happened, in a word.'),
  field('note', 'string', 'What happened, for people.'),
  field('reportingController', 'string', 'Who says so.'),
  field('reportingInstance', 'string', 'The worker, or empty.'),
  ...SHARED,
  field('deprecatedSource', 'Object', 'Who says so, in core/v1.', SOURCE),
  field('deprecatedCount', 'integer', 'How often it happened, in core/v1.'),
  field('deprecatedFirstTimestamp', 'string', 'When it was seen first, in core/v1.'),
  field('deprecatedLastTimestamp', 'string', 'When it was seen last, in core/v1.'),
]);

/** Attempts against other writers. */
const MAX_ATTEMPTS = 8;

/** How a version of the API has events. */
interface EventForm<T extends ApiObject> {
  readonly apiVersion: string;
  readonly explained: Field;
  readonly columns: readonly Column<T>[];
  /** Read from events as core/v1 has them. */
  readonly fields: SelectableFields<CoreV1Event>;
  readonly shown: (event: CoreV1Event) => T;
  readonly parse: (input: unknown, namespace: string) => ClientEvent;
  readonly parseUpdate: (stored: CoreV1Event, input: unknown) => ClientEvent;
}

const CORE: EventForm<CoreV1Event> = {
  apiVersion: 'v1',
  explained: EXPLAINED,
  columns: COLUMNS,
  fields: FIELDS,
  shown: (event) => event,
  parse: (input, namespace) => parseObject(EVENT_KIND, input, namespace),
  parseUpdate: (stored, input) => parseObjectUpdate(EVENT_KIND, stored as ClientEvent, input),
};

/** Each is shown as the same object, whose text is made once. */
const SHOWN = new WeakMap<CoreV1Event, EventV1>();
const SHOWN_OF = new WeakMap<EventV1, CoreV1Event>();

const V1: EventForm<EventV1> = {
  apiVersion: 'events.k8s.io/v1',
  explained: EXPLAINED_V1,
  columns: COLUMNS.map((column) => ({
    ...column,
    cell: (event: EventV1, nowMs: number) =>
      column.cell(SHOWN_OF.get(event) ?? coreOf(event), nowMs),
  })),
  fields: {
    ...FIELDS,
    ...Object.fromEntries(
      Object.entries(FIELDS).map(([name, read]) => [
        name
          .replace('involvedObject', 'regarding')
          .replace('reportingComponent', 'reportingController'),
        read,
      ]),
    ),
  },
  shown: shownV1,
  parse: (input, namespace) => toClientEvent(parseObject(EVENT_V1_KIND, input, namespace)),
  parseUpdate: (stored, input) =>
    toClientEvent(parseObjectUpdate(EVENT_V1_KIND, shownV1(stored), input)),
};

function shownV1(event: CoreV1Event): EventV1 {
  const known = SHOWN.get(event);
  if (known !== undefined) return known;
  const shown = toEventV1(event);
  SHOWN.set(event, shown);
  SHOWN_OF.set(shown, event);
  return shown;
}

/** Of one that is not stored, as a dry run answers it. */
function coreOf(event: EventV1): CoreV1Event {
  return toClientEvent(event) as CoreV1Event;
}

/** Events: what happened to objects. */
export class EventsResource<T extends ApiObject> extends KindResource<T> {
  protected readonly watches = {
    watch: (request: WatchRequest) => this.#watch(request),
    close: () => this.#log.close(),
  };
  readonly #backend: Backend;
  readonly #log: EventLog;
  readonly #form: EventForm<T>;

  private constructor(backend: Backend, log: EventLog, form: EventForm<T>) {
    const { apiVersion, explained, columns } = form;
    // Selected are events as core/v1 has them.
    const fields = form.fields as SelectableFields<never> as SelectableFields<T>;
    const kind = { apiVersion, kind: 'Event', plural: 'events', shortNames: ['ev'] };
    super({ ...kind, explained, columns, fields });
    this.#backend = backend;
    this.#log = log;
    this.#form = form;
  }

  /** Those of core/v1 and those of events.k8s.io/v1: the same ones. */
  static both(backend: Backend): readonly [EventsResource<CoreV1Event>, EventsResource<EventV1>] {
    const log = new EventLog(backend);
    return [new EventsResource(backend, log, CORE), new EventsResource(backend, log, V1)];
  }

  async get(name: string, namespace: string): Promise<T> {
    return this.#form.shown(await this.#read(name, namespace));
  }

  async list(request: PageRequest): Promise<Page> {
    const resourceVersion = String(versionNow());
    const { namespace, selection } = request;
    const objectName =
      requiredValue(selection.fields, 'involvedObject.name') ??
      requiredValue(selection.fields, 'regarding.name');
    const page = pageOf(request, await this.#log.list(namespace, objectName), resourceVersion);
    return { ...page, items: (page.items as readonly CoreV1Event[]).map(this.#form.shown) };
  }

  async *#watch(request: WatchRequest): AsyncGenerator<WatchEvent> {
    const { apiVersion } = this.#form;
    for await (const event of this.#log.watch(request)) {
      const { type, object } = event;
      if (type === 'BOOKMARK') yield { ...event, object: { ...object, apiVersion } };
      else yield { ...event, object: this.#form.shown(object as CoreV1Event) };
    }
  }

  async create(input: unknown, { namespace, dryRun }: WriteOptions): Promise<T> {
    const parsed = this.#form.parse(input, namespace);
    const { generateName: prefix = '' } = parsed.metadata;
    const name = parsed.metadata.name || generateName(prefix, randomInt);
    const event = { ...parsed, metadata: { ...parsed.metadata, name } };
    if (dryRun) return this.#form.shown(event as CoreV1Event);
    const written = await this.#write(event, null);
    if (written === 'alreadyExists') throw new AlreadyExistsError(this.#reference(name, namespace));
    return await this.get(name, namespace);
  }

  async update(
    name: string,
    change: (stored: ApiObject) => unknown,
    { namespace, dryRun }: WriteOptions,
  ): Promise<T> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const stored = await this.#read(name, namespace);
      const { resourceVersion } = stored.metadata;
      const input = change(this.#form.shown(stored));
      const event = this.#form.parseUpdate(stored, input);
      const wanted = event.metadata.resourceVersion ?? '';
      if (wanted !== '' && wanted !== resourceVersion) {
        throw new ConflictError(this.#reference(name, namespace));
      }
      if (dryRun) return this.#form.shown(event as CoreV1Event);
      const written = await this.#write(event, resourceVersion);
      if (written === 'written' || written === 'replayed') return await this.get(name, namespace);
      if (written === 'notFound') throw new NotFoundError(this.#reference(name, namespace));
    }
    throw new ConflictError(this.#reference(name, namespace));
  }

  async delete(name: string, options: DeleteOptions): Promise<T> {
    const { namespace, dryRun, resourceVersion: version } = options;
    const event = this.#form.shown(await this.#read(name, namespace));
    checkPreconditions(event, options);
    if (dryRun) return event;
    const [outcome] = await this.#backend.onShard(namespace, ({ events }) =>
      events.delete([{ namespace, name, version }]),
    );
    if (outcome === 'notFound') throw new NotFoundError(this.#reference(name, namespace));
    if (outcome === 'conflict') throw new ConflictError(this.#reference(name, namespace));
    return event;
  }

  async #write(event: ClientEvent, expectedVersion: string | null) {
    const { namespace } = event.metadata;
    return await this.#backend.onShard(
      namespace,
      async ({ events }) => (await events.write(event, expectedVersion)).type,
    );
  }

  async #read(name: string, namespace: string): Promise<CoreV1Event> {
    const event = await this.#backend.onShard(namespace, ({ events }) =>
      events.get(namespace, name),
    );
    if (event === null) throw new NotFoundError(this.#reference(name, namespace));
    return event;
  }

  #reference(name: string, namespace: string) {
    const resource = this.group === '' ? 'events' : `events.${this.group}`;
    return { resource, name, namespace };
  }
}
