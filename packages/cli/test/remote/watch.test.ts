import { ConnectionError, NotFoundError } from '@drover/shared';
import { expect, test } from 'vitest';

import type { Call } from '../../src/remote/http.ts';
import type { RemoteObject } from '../../src/remote/objects.ts';
import { watchObjects } from '../../src/remote/watch.ts';

const END = { 'k8s.io/initial-events-end': 'true' };

function object(name: string, version: number, uid = name): RemoteObject {
  const metadata = { name, namespace: 'default', uid, resourceVersion: String(version) };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata };
}

function line(type: string, about: object): Buffer {
  return Buffer.from(`${JSON.stringify({ type, object: about })}\n`);
}

const initialEnd = line('BOOKMARK', { metadata: { annotations: END } });

/** An API server that answers each request with the next of these answers; an error breaks one off. */
function server(answers: readonly (readonly (Buffer | Error)[])[]) {
  const calls: Call[] = [];
  return {
    calls,
    async *lines(call: Call): AsyncGenerator<Buffer> {
      calls.push(call);
      for (const piece of answers[calls.length - 1] ?? [
        new NotFoundError({ resource: 'x', name: 'x' }),
      ]) {
        if (piece instanceof Error) throw piece;
        yield piece;
      }
    },
  };
}

/** What is told until it ends with an error; that is last. */
async function told(connection: ReturnType<typeof server>): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const { type, object: about } of watchObjects(connection, { path: '/x' })) {
      found.push(`${type} ${about.metadata.name} ${about.metadata.resourceVersion}`);
    }
  } catch (error) {
    found.push(error instanceof Error ? error.constructor.name : '');
  }
  return found;
}

test('what was told is not told again when the server ends a watch, and what was missed is', async () => {
  const lost = new ConnectionError('it went away');
  const connection = server([
    [
      line('ADDED', object('same', 1)),
      line('ADDED', object('changed', 2)),
      line('ADDED', object('gone', 3)),
      line('ADDED', object('again', 4, 'first')),
      initialEnd,
      line('MODIFIED', object('same', 5)),
      // Cut off in the middle of a line.
      Buffer.from('{"type":"ADD'),
      lost,
    ],
    [line('ERROR', { code: 410, reason: 'Expired' })],
    [
      line('ADDED', object('same', 5)),
      line('ADDED', object('changed', 6)),
      line('ADDED', object('again', 7, 'second')),
      line('ADDED', object('new', 8)),
      initialEnd,
      line('DELETED', object('new', 9)),
    ],
  ]);
  expect(await told(connection)).toEqual([
    'ADDED same 1',
    'ADDED changed 2',
    'ADDED gone 3',
    'ADDED again 4',
    'MODIFIED same 5',
    'MODIFIED changed 6',
    'DELETED again 4',
    'ADDED again 7',
    'ADDED new 8',
    'DELETED gone 3',
    'DELETED new 8',
    'NotFoundError',
  ]);
  expect(connection.calls[0]?.query).toMatchObject({ watch: 'true', sendInitialEvents: 'true' });
}, 20_000);

test('a server that was never there, and one that refuses, are told at once', async () => {
  expect(await told(server([[new ConnectionError('nobody there')]]))).toEqual(['ConnectionError']);
  const refusal = { code: 403, reason: 'Forbidden', message: 'no' };
  expect(await told(server([[line('ERROR', refusal)]]))).toEqual(['ServerRefusal']);
});
