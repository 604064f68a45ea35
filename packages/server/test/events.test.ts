import { afterAll, beforeAll, beforeEach, afterEach, expect, test } from 'vitest';

import { Backend } from '@drover/sdk/internals';
import type { CoreV1Event, EventV1 } from '@drover/shared';
import { EventRecorder } from '@drover/store';
import { startRedis, uniquePrefix, waitFor, type TestRedis } from '@drover/testkit';

import type { WatchEvent, WriteOptions } from '../src/api/resource.ts';
import { parseFieldSelector } from '../src/api/fieldSelector.ts';
import { Selection } from '../src/api/selection.ts';
import { rowJson } from '../src/api/table.ts';
import { EventsResource } from '../src/resources/events.ts';

let redis: TestRedis;
let backend: Backend;
let core: EventsResource<CoreV1Event>;
let v1: EventsResource<EventV1>;
let ending: AbortController;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
beforeEach(() => {
  backend = new Backend({ connection: redis.url, prefix: uniquePrefix() });
  [core, v1] = EventsResource.both(backend);
  ending = new AbortController();
});
afterEach(async () => {
  ending.abort();
  core.close();
  await backend.close();
});

const OPTIONS: WriteOptions = {
  namespace: 'default',
  user: { name: 'tester', grants: [] } as unknown as WriteOptions['user'],
  dryRun: false,
  onWarning: () => undefined,
};

/** As the recorder of client-go sends one. */
const LEGACY = {
  kind: 'Event',
  apiVersion: 'v1',
  metadata: { name: 'pi.18a1', namespace: 'default', creationTimestamp: null },
  involvedObject: {
    kind: 'Job',
    namespace: 'default',
    name: 'pi',
    uid: 'b5b3c1a2-0000-4000-8000-000000000001',
    apiVersion: 'batch/v1',
    resourceVersion: '12',
    fieldPath: 'spec.template',
  },
  reason: 'Noticed',
  message: 'somebody looked',
  source: { component: 'looker', host: 'here' },
  firstTimestamp: '2026-01-01T10:00:00Z',
  lastTimestamp: '2026-01-01T10:00:00Z',
  count: 1,
  type: 'Normal',
  eventTime: null,
  reportingComponent: 'looker',
  reportingInstance: '',
};

/** As the recorder of events.k8s.io sends one. */
const NEW = {
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  metadata: { generateName: 'pi-', namespace: 'default' },
  eventTime: '2026-01-01T10:00:00.123456Z',
  reportingController: 'example.com/looker',
  reportingInstance: 'looker-1',
  action: 'Looking',
  reason: 'Noticed',
  regarding: { kind: 'Job', namespace: 'default', name: 'pi', apiVersion: 'batch/v1' },
  note: 'somebody looked',
  type: 'Warning',
};

function list(resource: Pick<typeof core | typeof v1, 'list' | 'fields'>, fields = '') {
  const selection = new Selection([], parseFieldSelector(fields), resource.fields as never);
  const request = { namespace: 'default', limit: null, after: null, notOlderThan: null };
  return resource.list({ ...request, selection });
}

/** Watches from what is there; what is told, as it comes. */
async function watch(resource: Pick<typeof core, 'watch'>): Promise<WatchEvent[]> {
  const told: WatchEvent[] = [];
  const selection = new Selection([], [], {});
  const from = { type: 'initial' } as const;
  void (async () => {
    const request = { namespace: 'default', selection, from, bookmarkMs: null };
    for await (const event of resource.watch({ ...request, signal: ending.signal }))
      told.push(event);
  })().catch(() => undefined);
  await waitFor(() => told.some(({ type }) => type === 'BOOKMARK'));
  return told;
}

test('an event of a client is kept as it gave it, and counts up when it is patched', async () => {
  const created = await core.create(LEGACY, OPTIONS);
  const { eventTime: _none, ...given } = LEGACY;
  expect(created).toMatchObject({ ...given, metadata: { name: 'pi.18a1', namespace: 'default' } });
  await expect(core.create({ ...LEGACY, reason: 'Other' }, OPTIONS)).rejects.toMatchObject({
    code: 'ALREADY_EXISTS',
  });
  // A request that is sent again, since its answer was lost.
  expect(await core.create(LEGACY, OPTIONS)).toEqual(created);
  const lastTimestamp = '2026-01-01T10:05:00Z';
  const change = (stored: object) => ({ ...stored, count: 5, lastTimestamp });
  const changed = await core.update('pi.18a1', change, OPTIONS);
  expect(changed).toEqual({
    ...created,
    count: 5,
    lastTimestamp,
    metadata: { ...created.metadata, resourceVersion: changed.metadata.resourceVersion },
  });
  const stale = { ...created, count: 7 };
  await expect(core.update('pi.18a1', () => stale, OPTIONS)).rejects.toMatchObject({
    code: 'CONFLICT',
  });
  await expect(core.update('none.1', change, OPTIONS)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect((await list(core, 'involvedObject.name=pi,reason=Noticed')).items).toEqual([changed]);
});

test('an event is deleted, by either version, and watches are told', async () => {
  const told = await watch(core);
  const { metadata } = await v1.create({ ...NEW, metadata: { name: 'pi.gone' } }, OPTIONS);
  await waitFor(() => told.some(({ object }) => object.metadata.name === 'pi.gone'));
  const options = {
    ...OPTIONS,
    propagationPolicy: null,
    gracePeriodSeconds: null,
    uid: null,
    resourceVersion: null,
  };
  const other = { ...options, uid: 'other' };
  await expect(core.delete('pi.gone', other)).rejects.toMatchObject({ code: 409 });
  await core.delete('pi.gone', { ...options, dryRun: true });
  expect(await core.delete('pi.gone', options)).toMatchObject({ metadata: { uid: metadata.uid } });
  await waitFor(() =>
    told.some(({ type, object }) => type === 'DELETED' && object.metadata.name === 'pi.gone'),
  );
  await expect(v1.delete('pi.gone', options)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('events.k8s.io has the same events in its words', async () => {
  const created = await v1.create(NEW, OPTIONS);
  expect(created.metadata.name).toMatch(/^pi-[a-z0-9]{5}$/);
  const { metadata: _own, ...given } = NEW;
  expect(created).toMatchObject(given);
  const { name } = created.metadata;
  expect(await core.get(name, 'default')).toMatchObject({
    apiVersion: 'v1',
    involvedObject: { name: 'pi' },
    message: 'somebody looked',
    eventTime: NEW.eventTime,
    action: 'Looking',
    source: { component: 'example.com/looker' },
    count: 1,
  });
  const series = { count: 3, lastObservedTime: '2026-01-01T10:07:00.000000Z' };
  const changed = await v1.update(name, (stored) => ({ ...stored, series }), OPTIONS);
  expect(changed).toMatchObject({ ...given, series });
  await core.create(LEGACY, OPTIONS);
  const { items } = await list(v1, 'regarding.name=pi');
  expect(items).toMatchObject([
    { note: 'somebody looked', series },
    { note: 'somebody looked', eventTime: '2026-01-01T10:00:00.000000Z' },
  ]);
  const row = JSON.parse(rowJson(v1.table as never, items[0]!, 'None', Date.now())) as object;
  expect(row).toMatchObject({ cells: expect.arrayContaining(['Warning', 'Noticed', 'job/pi']) });
});

test('what is wrong with an event is told all at once, with its path', async () => {
  const bad = {
    ...NEW,
    eventTime: 'soon',
    reason: '',
    note: 'x'.repeat(1_025),
    type: 'Loud',
    nothing: 1,
  };
  const error = await v1.create(bad, OPTIONS).catch((problem: unknown) => problem);
  const issues = (error as { issues: readonly { path: string }[] }).issues;
  expect(issues.map(({ path }) => path).toSorted()).toEqual(
    ['eventTime', 'note', 'nothing', 'reason', 'type'].toSorted(),
  );
  const other = { ...LEGACY, involvedObject: { ...LEGACY.involvedObject, namespace: 'other' } };
  await expect(core.create(other, OPTIONS)).rejects.toThrow(
    /involvedObject.namespace: Invalid value: "other": does not match event.namespace/,
  );
  const large = {
    ...LEGACY,
    metadata: { ...LEGACY.metadata, annotations: { a: 'x'.repeat(20_000) } },
  };
  await expect(core.create(large, OPTIONS)).rejects.toThrow(/may not be more than 16384 bytes/);
});

test('both watches tell of an event when it is written, without looking for it', async () => {
  const [told, toldV1] = [await watch(core), await watch(v1)];
  await core.create(LEGACY, OPTIONS);
  const shard = (await backend.store()).shardOf('default');
  const recorder = new EventRecorder({ events: shard.events, onLost: () => undefined });
  const about = { apiVersion: 'batch/v1', kind: 'Job', namespace: 'default', name: 'e', uid: 'u' };
  recorder.record({ about, type: 'Normal', reason: 'Ran', message: 'it ran', component: 'c' });
  // Sooner than it would look by itself.
  await waitFor(() => told.length === 3 && toldV1.length === 3, { timeoutMs: 5_000 });
  expect(told.slice(1)).toMatchObject([
    { type: 'ADDED', object: { apiVersion: 'v1', message: 'somebody looked' } },
    { type: 'ADDED', object: { apiVersion: 'v1', message: 'it ran' } },
  ]);
  expect(toldV1[0]).toMatchObject({ object: { apiVersion: 'events.k8s.io/v1' } });
  expect(toldV1[2]).toMatchObject({ type: 'ADDED', object: { note: 'it ran' } });
});
