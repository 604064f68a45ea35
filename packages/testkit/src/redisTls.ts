import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';

import type { RedisTls } from './testRedis.ts';

/** Settings of a server, or of a Sentinel, that speaks TLS only, also to others of its kind. */
export function tlsSettings(tls: RedisTls, port: number): Record<string, string> {
  return {
    port: '0',
    'tls-port': String(port),
    'tls-cert-file': tls.cert,
    'tls-key-file': tls.key,
    'tls-ca-cert-file': tls.cacert,
    'tls-auth-clients': tls.client === undefined ? 'no' : 'yes',
    'tls-replication': 'yes',
  };
}

/** What a client needs to reach it. */
export function clientTls({ cacert, client }: RedisTls): ConnectionOptions {
  return {
    ca: readFileSync(cacert, 'utf8'),
    ...(client !== undefined && {
      cert: readFileSync(client.cert, 'utf8'),
      key: readFileSync(client.key, 'utf8'),
    }),
  };
}
