import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

import { expect, test } from 'vitest';

import { StreamedAnswer } from '../../src/http/stream.ts';

test('what is written in one go is sent together, in order, text and bytes', async () => {
  const server = createServer((_request, response) => {
    const answer = new StreamedAnswer(response);
    answer.begin({ 'content-type': 'text/plain' });
    void (async () => {
      for (let n = 0; n < 1_000; n++) {
        await answer.write(n % 2 === 0 ? `${n} é\n` : Buffer.from(`${n} é\n`));
      }
      answer.end();
    })();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  try {
    const [response] = (await once(
      get({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' }),
      'response',
    )) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const lines = Buffer.concat(chunks).toString().split('\n');
    expect(lines.slice(0, -1)).toEqual(Array.from({ length: 1_000 }, (_, n) => `${n} é`));
    expect(chunks.length).toBeLessThan(10);
  } finally {
    server.close();
  }
});
