/**
 * Whatever is sent, the server answers, with no fault of its own. A part of the requests in each run;
 * DROVER_FUZZ_REQUESTS says how many, DROVER_FUZZ_SEED which.
 */

import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request } from 'node:https';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';

import { newSecretKey } from '@drover/store';
import { startRedis, type TestRedis } from '@drover/testkit';
import * as fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';

import {
  createServer,
  prepareIdentity,
  type DroverServer,
  type Identity,
} from '../../src/index.ts';
import { EXISTING, requests, type FuzzedRequest } from './requests.ts';

const COUNT = Number(process.env['DROVER_FUZZ_REQUESTS'] ?? 1_500);
const SEED = Number(process.env['DROVER_FUZZ_SEED'] ?? randomInt(2 ** 31));
const AT_ONCE = 16;
/** Held to, whatever was sent. */
const MAX_HEAP_BYTES = 700 * 1024 * 1024;

let dir: string;
let redis: TestRedis;
let identity: Identity;
let server: DroverServer;
let url: URL;
const faults: string[] = [];
beforeAll(async () => {
  [dir, redis] = await Promise.all([
    mkdtemp(join(tmpdir(), 'drover-fuzz-')),
    startRedis({ config: {} }),
  ]);
  identity = await prepareIdentity({ dir, nowMs: Date.now() });
  // What a request did wrong in the server is what it logs as an error.
  const logger = pino({ level: 'error' }, { write: (line: string) => void faults.push(line) });
  const { server: tls, token } = identity;
  const secretKeyFile = join(dir, 'secret.key');
  await writeFile(secretKeyFile, newSecretKey(), { mode: 0o600 });
  const common = { connection: redis.url, secretKeyFile, logger };
  const options = { ...common, port: 0, tls, token, rateLimit: null };
  server = createServer(options);
  url = new URL(await server.listen());
  await createAll();
}, 60_000);
afterAll(async () => {
  await server.close();
  await redis.stop();
  await rm(dir, { recursive: true, force: true });
});

const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });

/** Sends a request; its status, or 0 when the server hung up on it. */
async function send({ method, path, headers, body }: FuzzedRequest): Promise<number> {
  return await new Promise((resolve, reject) => {
    const sent = request({
      hostname: url.hostname,
      port: url.port,
      method,
      path,
      agent,
      ca: identity.authority,
      headers: {
        ...headers,
        authorization: `Bearer ${identity.token}`,
        ...(body === null ? {} : { 'content-length': String(body.length) }),
      },
    });
    sent.on('response', (answer) => {
      resolve(answer.statusCode ?? 0);
      // A watch or a log that is followed has no end.
      if (/watch|follow/.test(path)) answer.destroy();
      else answer.resume();
    });
    sent.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') resolve(0);
      else reject(error);
    });
    sent.end(body ?? undefined);
  });
}

/** So that requests find something; most of it is deleted again and again. */
async function createAll(): Promise<void> {
  for (const { path, manifest } of EXISTING) {
    const body = Buffer.from(JSON.stringify(manifest));
    await send({ method: 'POST', path, headers: {}, body });
  }
}

/** Requests between two times that what they are about is made. */
const ROUND = 50;

test(`${COUNT} requests (seed ${SEED}) are answered, and break nothing`, async () => {
  const all = fc.sample(requests, { numRuns: COUNT, seed: SEED });
  const wrong: string[] = [];
  const codes = new Map<number, number>();
  let next = 0;
  const work = async (): Promise<void> => {
    for (let at = next++; at < all.length; at = next++) {
      if (at % ROUND === 0) await createAll();
      const one = all[at]!;
      const code = await send(one);
      codes.set(code, (codes.get(code) ?? 0) + 1);
      // 504 is what Kubernetes answers for a version that is not there yet.
      if (code >= 500 && code !== 504)
        wrong.push(`${code} ${one.method} ${one.path} ${String(one.body)}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  console.log(`answers: ${JSON.stringify(Object.fromEntries(codes))}`);
  expect([...wrong.slice(0, 5), ...faults.slice(0, 5)]).toEqual([]);
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  expect(process.memoryUsage().heapUsed).toBeLessThan(MAX_HEAP_BYTES);
  // Enough of them got through to something.
  expect(codes.get(200) ?? 0).toBeGreaterThan(COUNT / 20);
}, 600_000);

test('bytes that are no HTTP, and clients that stop half-way, hold nobody up', async () => {
  const options = { host: url.hostname, port: Number(url.port), ca: identity.authority };
  const heads = [
    'GET /api HTTP/1.1\r\n',
    'POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\ncontent-length: 1000\r\n\r\n{',
    'GET /api HTTP/9.9\r\n\r\n',
    '\0\x01\x02\xff\r\n\r\n',
    `GET /${'x'.repeat(100_000)} HTTP/1.1\r\n\r\n`,
    `GET / HTTP/1.1\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`,
    'POST /api HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n',
  ];
  const sockets = await Promise.all(
    heads.flatMap((head) =>
      Array.from({ length: 10 }, async () => {
        const socket = connect(options);
        socket.on('error', () => undefined);
        await once(socket, 'secureConnect');
        socket.write(head, 'latin1');
        return socket;
      }),
    ),
  );
  const path = '/api/v1/namespaces/default/configmaps';
  expect(await send({ method: 'GET', path, headers: {}, body: null })).toBe(200);
  for (const socket of sockets) socket.destroy();
  agent.destroy();
  expect(faults).toEqual([]);
}, 30_000);
