/** What client libraries do and kubectl does not: requests as they are. */

import { request } from 'node:https';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ServerBed } from './bed.ts';

let bed: ServerBed;
beforeAll(async () => {
  bed = await ServerBed.start();
}, 60_000);
afterAll(async () => await bed.stop());

const JOBS = '/apis/batch/v1/namespaces/default/jobs';

interface Event {
  readonly type: string;
  readonly object: {
    readonly kind: string;
    readonly code?: number;
    readonly reason?: string;
    readonly rows?: readonly { readonly cells: readonly string[] }[];
    readonly columnDefinitions?: readonly object[];
    readonly metadata: {
      readonly name?: string;
      readonly resourceVersion: string;
      readonly annotations?: Readonly<Record<string, string>>;
    };
  };
}

/** A suspended Job: it stays as it is. */
function job(name: string, labels: Record<string, string> = {}, spec: object = {}) {
  const container = { name: 'main', command: ['true'] };
  const podSpec = { restartPolicy: 'Never', containers: [container] };
  return {
    metadata: { name, labels },
    spec: { suspend: true, ...spec, template: { spec: podSpec } },
  };
}

async function json(path: string, options = {}): Promise<{ code: number; body: unknown }> {
  const { code, text } = await bed.fetch(path, options);
  return { code, body: JSON.parse(text) as unknown };
}

/** An open watch: its events as they come. */
class Watch {
  readonly events: Event[] = [];
  readonly ended: Promise<void>;
  readonly stop: () => void;

  constructor(path: string, accept = 'application/json') {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    const headers = { authorization: `Bearer ${bed.identity.token}`, accept };
    const sent = request(
      new URL(path, bed.url),
      { ca: bed.identity.authority, headers },
      (answer) => {
        let rest = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          const lines = (rest + chunk).split('\n');
          rest = lines.pop() ?? '';
          this.events.push(...lines.map((line) => JSON.parse(line) as Event));
        });
        answer.on('close', resolve);
      },
    );
    sent.on('error', () => resolve());
    sent.end();
    this.stop = () => sent.destroy();
  }

  /** Types and names so far. */
  get told(): string[] {
    return this.events.map(({ type, object }) => `${type} ${object.metadata.name ?? ''}`.trim());
  }
}

describe('access', () => {
  test('needs the token; what says how the server is does not', async () => {
    const none = { headers: { authorization: '' } };
    expect(await json(JOBS, none)).toMatchObject({
      code: 401,
      body: { kind: 'Status', reason: 'Unauthorized' },
    });
    expect((await bed.fetch(JOBS, { headers: { authorization: 'Bearer wrong' } })).code).toBe(401);
    for (const path of ['/healthz', '/livez', '/readyz']) {
      expect(await bed.fetch(path, none)).toMatchObject({ code: 200, text: 'ok' });
    }
    expect((await bed.fetch('/version', none)).code).toBe(200);
  });

  test('paths and methods that there are not are told as a Status', async () => {
    expect(await json('/apis/apps/v1/deployments')).toMatchObject({
      code: 404,
      body: { kind: 'Status', message: 'the server could not find the requested resource' },
    });
    expect((await json('/api/v1/nodes/worker-1', { method: 'DELETE' })).code).toBe(405);
    expect((await json(JOBS, { method: 'POST', body: '{' })).code).toBe(400);
    const type = { 'content-type': 'text/html' };
    expect((await json(JOBS, { method: 'POST', body: '{}', headers: type })).code).toBe(415);
    const large = { method: 'POST', body: 'x'.repeat(4 * 1024 * 1024) };
    expect((await json(JOBS, large)).code).toBe(413);
    expect((await json(JOBS, { headers: { accept: 'image/png' } })).code).toBe(406);
  });
});

describe('lists', () => {
  test('come in pages that go on where the last one ended', async () => {
    for (const n of [1, 2, 3, 4, 5]) await bed.drover.jobs.create(job(`page-${n}`, { page: 'x' }));
    const names: string[] = [];
    let token = '';
    const versions = new Set<string>();
    for (let pages = 1; pages === 1 || token !== ''; pages++) {
      const query = `labelSelector=page%3Dx&limit=2&continue=${encodeURIComponent(token)}`;
      const { body } = (await json(`${JOBS}?${query}`)) as {
        code: number;
        body: {
          items: { metadata: { name: string } }[];
          metadata: { continue?: string; resourceVersion: string };
        };
      };
      names.push(...body.items.map(({ metadata }) => metadata.name));
      versions.add(body.metadata.resourceVersion);
      token = body.metadata.continue ?? '';
      expect(pages).toBeLessThanOrEqual(3);
    }
    expect(names).toEqual([1, 2, 3, 4, 5].map((n) => `page-${n}`));
    // A watch from any of them misses nothing.
    expect(versions.size).toBe(1);
    expect((await json(`${JOBS}?continue=nonsense`)).code).toBe(400);
  });

  test('go on in no other namespace than theirs, whatever the client says of where that is', async () => {
    const token = (after: string) =>
      Buffer.from(JSON.stringify({ version: '1', after })).toString('base64url');
    const place = { list: 0, path: 'a', uid: 'none', podNumber: 0 };
    const own = job('mine');
    await bed.makeNamespaces('own', 'else');
    await json('/apis/batch/v1/namespaces/own/jobs', { method: 'POST', body: JSON.stringify(own) });
    const secret = { metadata: { name: 'secret' }, data: { a: 'eA==' } };
    const body = JSON.stringify(secret);
    await json('/api/v1/namespaces/else/secrets', { method: 'POST', body });
    await json('/apis/batch/v1/namespaces/else/jobs', {
      method: 'POST',
      body: JSON.stringify(job('theirs')),
    });
    for (const [path, after] of [
      ['/apis/batch/v1/namespaces/own/jobs', '0 a'],
      ['/api/v1/namespaces/own/secrets', '0 a'],
      ['/api/v1/namespaces/own/pods', JSON.stringify({ shard: 0, place })],
    ] as const) {
      const { text } = await bed.fetch(`${path}?limit=5&continue=${token(after)}`);
      expect(text, path).not.toMatch(/theirs|"else"|eA==/);
    }
  });

  test('come as tables and as metadata alone', async () => {
    await bed.drover.jobs.create(job('formed'));
    const table = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
    const asTable = await json(`${JOBS}/formed?includeObject=None`, { headers: { accept: table } });
    expect(asTable.body).toMatchObject({
      kind: 'Table',
      rows: [
        {
          cells: [
            'formed',
            expect.any(String),
            '0/1',
            '',
            expect.any(String),
            'main',
            '<none>',
            expect.any(String),
          ],
        },
      ],
    });
    const partial = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
    const metadata = (await json(JOBS, {
      headers: { accept: partial },
    })) as { code: number; body: { kind: string; items: object[] } };
    expect(metadata.body.kind).toBe('PartialObjectMetadataList');
    expect(Object.keys(metadata.body.items[0] ?? {}).toSorted()).toEqual([
      'apiVersion',
      'kind',
      'metadata',
    ]);
  });

  test('take only what can be asked for', async () => {
    const bad = [
      'fieldSelector=spec.parallelism%3D1',
      'labelSelector=a%20in%20b',
      'limit=-1',
      'resourceVersion=x',
      'watch=perhaps',
    ];
    for (const query of bad)
      expect([query, (await json(`${JOBS}?${query}`)).code]).toEqual([
        query,
        query.includes('=x') ? 422 : 400,
      ]);
    expect((await json(`${JOBS}?resourceVersionMatch=Exact`)).code).toBe(422);
    expect((await json(`${JOBS}?watch=1&sendInitialEvents=true`)).code).toBe(422);
    expect((await json(`${JOBS}?resourceVersion=1&resourceVersionMatch=Exact`)).code).toBe(410);
    expect((await json(`${JOBS}?resourceVersion=${Number.MAX_SAFE_INTEGER}`)).code).toBe(504);
  });
});

describe('a watch', () => {
  test('with the initial events tells what is there, a bookmark, and what happens', async () => {
    await bed.drover.jobs.create(job('first', { w: 'a' }));
    const query =
      'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=w';
    const watch = new Watch(`${JOBS}?${query}`);
    await expect.poll(() => watch.told).toEqual(['ADDED first', 'BOOKMARK']);
    const end = watch.events[1]!.object.metadata;
    expect(end.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' });
    await bed.drover.jobs.create(job('second', { w: 'b' }));
    await bed.drover.jobs.create(job('other'));
    // A label comes and goes: for this watch the Job does.
    await bed.drover.jobs.patch('other', { metadata: { labels: { w: 'c' } } });
    // What is changed twice before it is told is told as it then is.
    await expect.poll(() => watch.told).toContain('ADDED other');
    await bed.drover.jobs.patch('other', { metadata: { labels: { w: null, x: '1' } } });
    await bed.drover.jobs.delete('second');
    await expect
      .poll(() => watch.told.filter((line) => line.startsWith('DELETED')))
      .toEqual(['DELETED other', 'DELETED second']);
    expect(watch.told).toContain('ADDED second');
    const versions = watch.events
      .slice(1)
      .map(({ object }) => Number(object.metadata.resourceVersion));
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
    watch.stop();
  });

  test('from a version tells everything after it, though nobody watched', async () => {
    await bed.drover.jobs.create(job('kept', { since: 'x' }));
    await bed.drover.jobs.create(job('gone', { since: 'x' }));
    const { body } = (await json(`${JOBS}?labelSelector=since`)) as {
      code: number;
      body: { metadata: { resourceVersion: string } };
    };
    const { resourceVersion } = body.metadata;
    await bed.drover.jobs.patch('kept', { spec: { parallelism: 3 } });
    await bed.drover.jobs.delete('gone');
    await bed.drover.jobs.create(job('new', { since: 'x' }));
    const watch = new Watch(
      `${JOBS}?watch=1&labelSelector=since&resourceVersion=${resourceVersion}`,
    );
    await expect
      .poll(() => watch.told)
      .toEqual(expect.arrayContaining(['MODIFIED kept', 'DELETED gone', 'ADDED new']));
    watch.stop();
    // What it was told of is where another one goes on.
    const last = watch.events.at(-1)!.object.metadata.resourceVersion;
    await bed.drover.jobs.delete('kept');
    const next = new Watch(`${JOBS}?watch=1&labelSelector=since&resourceVersion=${last}`);
    await expect.poll(() => next.told).toContain('DELETED kept');
    expect(next.told).not.toContain('ADDED new');
    next.stop();
  });

  test('from version 0 tells what is there; as a table with its columns once', async () => {
    await bed.drover.jobs.create(job('zero', { zero: 'x' }));
    const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';
    const query = 'watch=1&labelSelector=zero&resourceVersion=0&timeoutSeconds=1';
    const watch = new Watch(`${JOBS}?${query}`, table);
    await watch.ended;
    expect(watch.events[0]).toMatchObject({ type: 'ADDED', object: { kind: 'Table' } });
    expect(watch.events[0]!.object.columnDefinitions).toHaveLength(8);
    expect(watch.events[0]!.object.rows![0]!.cells[0]).toBe('zero');
    for (const { object } of watch.events.slice(1)) expect(object.columnDefinitions).toEqual([]);
  });

  test('from a version that is not kept ends with 410', async () => {
    for (const path of [JOBS, '/api/v1/pods', '/api/v1/nodes']) {
      const watch = new Watch(`${path}?watch=1&resourceVersion=9007199254740991`);
      await watch.ended;
      expect(watch.events).toMatchObject([
        { type: 'ERROR', object: { code: 410, reason: 'Expired' } },
      ]);
    }
  });
});

describe('writes', () => {
  test('answer with what was stored; a name is made when one is asked for', async () => {
    const body = { ...job(''), metadata: { generateName: 'made-' } };
    const created = (await json(JOBS, {
      method: 'POST',
      body: JSON.stringify(body),
    })) as { code: number; body: { metadata: { name: string } } };
    expect(created).toMatchObject({ code: 201, body: { kind: 'Job', status: {} } });
    expect(created.body.metadata.name).toMatch(/^made-\w{5}$/);
  });

  test('tell of unknown fields as they are asked to', async () => {
    const unknown = { ...job('unknown'), spec: { ...job('').spec, unknown: 1 } };
    const post = async (query: string) =>
      await bed.fetch(`${JOBS}?dryRun=All&${query}`, {
        method: 'POST',
        body: JSON.stringify(unknown),
      });
    expect((await post('fieldValidation=Strict')).code).toBe(400);
    expect((await post('fieldValidation=Warn')).headers['warning']).toBe(
      '299 - "unknown field \\"spec.unknown\\""',
    );
    expect((await post('')).headers['warning']).toBeDefined();
    expect(await post('fieldValidation=Ignore')).toMatchObject({ code: 201 });
    expect((await post('fieldValidation=Ignore')).headers['warning']).toBeUndefined();
    expect((await post('fieldValidation=Perhaps')).code).toBe(422);
  });

  test('do not touch the status, nor objects that are others than was meant', async () => {
    const stored = await bed.drover.jobs.create(job('precise'));
    const put = async (object: object, name = 'precise') =>
      (await json(`${JOBS}/${name}`, { method: 'PUT', body: JSON.stringify(object) })).code;
    // The controller writes its first status meanwhile.
    const overwrite = async () => {
      const now = await bed.drover.jobs.get('precise');
      return await put({ ...now, status: { succeeded: 7 } });
    };
    await expect.poll(overwrite).toBe(200);
    expect((await bed.drover.jobs.get('precise')).status.succeeded).toBeUndefined();
    expect(await put(stored, 'other-name')).toBe(400);
    expect(await put({ ...stored, kind: 'Pod' })).toBe(400);
    expect(await put({ ...stored, metadata: { ...stored.metadata, namespace: 'x' } })).toBe(400);
    const remove = async (preconditions: object) =>
      (await json(`${JOBS}/precise`, { method: 'DELETE', body: JSON.stringify({ preconditions }) }))
        .code;
    expect(await remove({ uid: 'another' })).toBe(409);
    expect(await remove({ uid: stored.metadata.uid })).toBe(200);
  });

  test('delete all that is selected', async () => {
    for (const n of [1, 2, 3]) await bed.drover.jobs.create(job(`many-${n}`, { many: String(n) }));
    const path = `${JOBS}?labelSelector=many%20in%20(1,2)`;
    expect(await json(path, { method: 'DELETE' })).toMatchObject({
      code: 200,
      body: { kind: 'JobList' },
    });
    // By default the pods stay, and a Job is there until the controller has let them go.
    await expect
      .poll(async () => {
        const left = await bed.drover.jobs.list({ labelSelector: 'many' });
        return left.map(({ metadata }) => metadata.name);
      })
      .toEqual(['many-3']);
  });
});

test('a grace period that a deletion of a pod brings is said to have no effect', async () => {
  const container = { name: 'main', command: ['sleep', '60'] };
  const pod = {
    metadata: { name: 'patient' },
    spec: { restartPolicy: 'Never', containers: [container], terminationGracePeriodSeconds: 2 },
  };
  const pods = '/api/v1/namespaces/default/pods';
  await bed.fetch(pods, { method: 'POST', body: JSON.stringify(pod) });
  const remove = async (seconds: number) =>
    (
      await bed.fetch(`${pods}/patient?gracePeriodSeconds=${seconds}&dryRun=All`, {
        method: 'DELETE',
      })
    ).headers['warning'];
  expect(await remove(0)).toContain('the pod has the 2 s of its template');
  expect(await remove(2)).toBeUndefined();
  await bed.fetch(`${pods}/patient`, { method: 'DELETE' });
});

test('documents say what can be asked of a resource, and how lists are merged', async () => {
  const index = (await json('/openapi/v3')) as {
    code: number;
    body: { paths: Record<string, { serverRelativeURL: string }> };
  };
  const url = index.body.paths['apis/batch/v1']?.serverRelativeURL ?? '';
  const { body } = (await json(url)) as {
    code: number;
    body: {
      paths: Record<string, { patch?: { parameters: { name: string }[] } }>;
      components: { schemas: Record<string, { properties: Record<string, object> }> };
    };
  };
  const patch = body.paths['/apis/batch/v1/namespaces/{namespace}/jobs/{name}']?.patch;
  expect(patch?.parameters.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['dryRun', 'fieldValidation']),
  );
  const { schemas } = body.components;
  expect(schemas['io.k8s.api.batch.v1.Job']).toMatchObject({
    'x-kubernetes-group-version-kind': [{ group: 'batch', version: 'v1', kind: 'Job' }],
  });
  expect(schemas['io.k8s.api.core.v1.PodSpec']?.properties['containers']).toMatchObject({
    'x-kubernetes-patch-merge-key': 'name',
    'x-kubernetes-patch-strategy': 'merge',
  });
  // Every reference leads somewhere.
  for (const [, name = ''] of JSON.stringify(body).matchAll(/#\/components\/schemas\/([\w.]+)/g)) {
    expect(schemas).toHaveProperty([name]);
  }
  const { etag } = (await bed.fetch(url)).headers;
  expect((await bed.fetch(url, { headers: { 'if-none-match': String(etag) } })).code).toBe(304);
});
