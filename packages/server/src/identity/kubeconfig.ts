import { dirname } from 'node:path';
import { mkdir } from 'node:fs/promises';

import { stringify } from 'yaml';

import { writePrivate } from './identity.ts';

/** What a kubeconfig says. */
export interface KubeconfigOptions {
  /** Address of the server, `https://HOST:PORT`. */
  readonly url: string;
  /** Certificate of the authority that signed the server's, PEM; null when clients know it anyway. */
  readonly authority: string | null;
  /** Bearer token. */
  readonly token: string;
  /** Namespace of commands that name none. Default `default`. */
  readonly namespace?: string;
}

/** Name of cluster, user and context. */
const NAME = 'drover';

/** The text of a kubeconfig: the file that tells kubectl and client libraries where a server is. */
export function makeKubeconfig(options: KubeconfigOptions): string {
  const { url, authority, token, namespace = 'default' } = options;
  const trust =
    authority === null
      ? {}
      : { 'certificate-authority-data': Buffer.from(authority).toString('base64') };
  return stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: NAME, cluster: { server: url, ...trust } }],
      users: [{ name: NAME, user: { token } }],
      contexts: [{ name: NAME, context: { cluster: NAME, user: NAME, namespace } }],
      'current-context': NAME,
    },
    { lineWidth: 0 },
  );
}

/** Writes a kubeconfig for its owner only. */
export async function writeKubeconfig(path: string, options: KubeconfigOptions): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writePrivate(path, makeKubeconfig(options));
}
