import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { prepareIdentity } from '@drover/server';
import { ConnectionError } from '@drover/shared';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { ServerConnection } from '../src/remote/http.ts';

let dir: string;
let server: Server;
let connection: ServerConnection;
let origin: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'drover-remote-'));
  const identity = await prepareIdentity({ dir, nowMs: Date.now() });
  const { certificate: cert, privateKey: key } = identity.server;
  server = createServer({ cert, key }, (request, response) => {
    if (request.url === '/page') {
      response.end('<html></html>');
      return;
    }
    response.writeHead(request.url === '/refused' ? 403 : 200);
    // As a server that is killed meanwhile.
    response.write('{"kind":\n{', () => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}`);
  origin = url.origin;
  const address = { url, token: 'any', authority: identity.authority, namespace: null };
  connection = new ServerConnection(address);
});

afterAll(async () => {
  connection.close();
  server.close();
  await rm(dir, { recursive: true });
});

test.each(['/object', '/refused'])(
  'a server that goes in the middle of an answer is gone, not unreachable: %s',
  async (path) => {
    const error = await connection.json({ path }).catch((reason: unknown) => reason);
    // Those who watch go on with this class of error alone.
    expect(error).toBeInstanceOf(ConnectionError);
    expect(String(error)).toContain(
      `the API server at ${origin} broke off in the middle of its answer: `,
    );
  },
);

test('what came of a log before its server went is told', async () => {
  const lines: string[] = [];
  const reading = (async () => {
    for await (const line of connection.lines({ path: '/log' })) lines.push(line.toString());
  })();
  await expect(reading).rejects.toThrow('broke off in the middle of its answer: ');
  expect(lines).toEqual(['{"kind":\n']);
});

test('what answers well, but not as an API server does, is named', async () => {
  await expect(connection.json({ path: '/page' })).rejects.toThrow(
    'what answers there is no API server of Drover or Kubernetes',
  );
});
