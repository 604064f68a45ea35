import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FaultProxy, startProxy, waitFor } from '../src/index.ts';

let echo: Server;
const served = new Set<Socket>();
let proxy: FaultProxy;
const clients: Socket[] = [];

beforeEach(async () => {
  echo = createServer((socket) => {
    served.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => served.delete(socket));
    socket.pipe(socket);
  });
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const address = echo.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  proxy = await startProxy({ target: { port } });
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await proxy.stop();
  echo.close();
});

/** A client of the proxy and all that came back to it. */
function dial(): { socket: Socket; received: () => string; isClosed: () => boolean } {
  const socket = connect(proxy.port, '127.0.0.1');
  clients.push(socket);
  let text = '';
  let isClosed = false;
  socket.on('error', () => {});
  socket.on('close', () => (isClosed = true));
  socket.on('data', (data) => (text += data.toString()));
  return { socket, received: () => text, isClosed: () => isClosed };
}

test('a healthy proxy passes data both ways', async () => {
  const client = dial();
  client.socket.write('hello');
  await waitFor(() => client.received() === 'hello');
  client.socket.end();
  await waitFor(() => proxy.connectionCount === 0);
});

test('a healthy proxy passes more than fits into buffers', async () => {
  const client = dial();
  const text = 'x'.repeat(5_000_000);
  client.socket.write(text);
  await waitFor(() => client.received().length === text.length);
});

test('cut resets open connections and new ones until heal', async () => {
  const before = dial();
  before.socket.write('a');
  await waitFor(() => before.received() === 'a');
  proxy.cut();
  await waitFor(before.isClosed);
  const during = dial();
  await waitFor(during.isClosed);
  proxy.heal();
  const after = dial();
  after.socket.write('b');
  await waitFor(() => after.received() === 'b');
});

test('deafen passes on what clients send and keeps back the answers, which a cut loses', async () => {
  const asked: string[] = [];
  echo.on('connection', (socket: Socket) => {
    socket.on('data', (data: Buffer) => asked.push(data.toString()));
  });
  const client = dial();
  client.socket.write('a');
  await waitFor(() => client.received() === 'a');
  proxy.deafen();
  client.socket.write('b');
  await waitFor(() => asked.includes('b'));
  const late = dial();
  late.socket.write('c');
  await waitFor(() => asked.includes('c'));
  expect([client.received(), late.received()]).toEqual(['a', '']);
  proxy.heal();
  await waitFor(() => client.received() === 'ab' && late.received() === 'c');

  proxy.deafen();
  client.socket.write('d');
  await waitFor(() => asked.includes('d'));
  proxy.cut();
  await waitFor(client.isClosed);
  expect(client.received()).toBe('ab');
});

test('blackhole keeps connections open and holds data until heal', async () => {
  const client = dial();
  client.socket.write('a');
  await waitFor(() => client.received() === 'a');
  proxy.blackhole();
  client.socket.write('b');
  const late = dial();
  await once(late.socket, 'connect');
  late.socket.write('c');
  const answers = waitFor(() => client.received() !== 'a' || late.received() !== '', {
    timeoutMs: 100,
  });
  await expect(answers).rejects.toThrow(/in vain/);
  expect(client.isClosed() || late.isClosed()).toBe(false);
  proxy.heal();
  await waitFor(() => client.received() === 'ab' && late.received() === 'c');
});

test('delay holds data for its time and keeps the order when it ends', async () => {
  const client = dial();
  proxy.delay(30);
  const startedAtMs = performance.now();
  client.socket.write('a');
  await waitFor(() => proxy.connectionCount === 1);
  await waitFor(() => client.received() === 'a');
  // Once for each direction; timers may fire up to a millisecond early.
  expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(58);
  client.socket.write('b');
  proxy.delay(0);
  client.socket.write('c');
  await waitFor(() => client.received() === 'abc');
});

test.each(['blackhole', 'deafen'] as const)(
  'one side that is lost during a %s takes the other with it at the heal',
  async (fault) => {
    const pair = [dial(), dial()] as const;
    for (const { socket, received } of pair) {
      socket.write('hello');
      await waitFor(() => received() === 'hello');
    }
    const [first] = served;
    proxy[fault]();
    first!.resetAndDestroy();
    pair[1].socket.resetAndDestroy();
    // What is reset on this machine is heard of with the next turns of the loop.
    for (let turn = 0; turn < 10; turn += 1) await setImmediate();
    proxy.heal();
    await waitFor(pair[0].isClosed);
    await waitFor(() => served.size === 0 && proxy.connectionCount === 0);
  },
);
