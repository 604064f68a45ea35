import { readFileSync } from 'node:fs';

import {
  CLIENT_ENV,
  ConnectionError,
  OwnerReference,
  type ClientConnection,
  type ObjectMeta,
} from '@drover/shared';

/** What a client is made with when its user says nothing. */
export interface PodClientSettings extends ClientConnection {
  readonly namespace: string;
  readonly owner: OwnerReference | null;
}

/**
 * What a program finds in its environment when it runs in a pod that is a client.
 *
 * @returns null when it does not.
 * @throws ConnectionError when it is there and can not be read.
 */
export function podClientSettings(env: NodeJS.ProcessEnv = process.env): PodClientSettings | null {
  const file = env[CLIENT_ENV.file];
  if (file === undefined || file === '') return null;
  try {
    const { connection, prefix } = JSON.parse(readFileSync(file, 'utf8')) as ClientConnection;
    const owner = env[CLIENT_ENV.owner];
    return {
      connection,
      prefix,
      namespace: env[CLIENT_ENV.namespace] ?? 'default',
      owner: owner === undefined ? null : OwnerReference.parse(JSON.parse(owner)),
    };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const what = `what ${CLIENT_ENV.file} and ${CLIENT_ENV.owner} say can not be read: ${why}`;
    throw new ConnectionError(what, { cause });
  }
}

/** Metadata of something new that belongs to an owner, beside those that it names itself. */
export function withOwner(metadata: ObjectMeta, owner: OwnerReference | null): ObjectMeta {
  const owners = metadata.ownerReferences ?? [];
  if (owner === null || owners.some(({ uid }) => uid === owner.uid)) return metadata;
  const isManaged = owners.some(({ controller }) => controller === true);
  const { controller: _controls, ...plain } = owner;
  return { ...metadata, ownerReferences: [...owners, isManaged ? plain : owner] };
}
