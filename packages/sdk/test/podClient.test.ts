import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ConnectionError } from '../src/client.ts';
import { podClientSettings, withOwner } from '../src/podClient.ts';

const OWNER = {
  apiVersion: 'batch/v1',
  kind: 'Job',
  name: 'parent',
  uid: '6f1d2c3b-4a59-4687-9abc-def012345678',
  controller: true,
  blockOwnerDeletion: true,
};

let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'drover-client-test-'));
  file = join(folder, 'client.json');
  await writeFile(file, JSON.stringify({ connection: 'redis://db', prefix: 'p' }));
});
afterAll(() => rm(folder, { recursive: true }));

describe('what a program finds in its environment', () => {
  test('is nothing outside of such a pod', () => {
    expect(podClientSettings({})).toBeNull();
    expect(podClientSettings({ DROVER_CLIENT_FILE: '' })).toBeNull();
  });

  test('is connection, prefix, namespace and owner', () => {
    const env = {
      DROVER_CLIENT_FILE: file,
      DROVER_NAMESPACE: 'lab',
      DROVER_OWNER: JSON.stringify(OWNER),
    };
    expect(podClientSettings(env)).toEqual({
      connection: 'redis://db',
      prefix: 'p',
      namespace: 'lab',
      owner: OWNER,
    });
  });

  test.each([
    { name: 'no such file', env: { DROVER_CLIENT_FILE: '/nowhere' } },
    { name: 'an owner that is none', env: { DROVER_OWNER: '{"kind":"Job"}' } },
  ])('that can not be read is an error: $name', ({ env }) => {
    const read = (): unknown => podClientSettings({ DROVER_CLIENT_FILE: file, ...env });
    expect(read).toThrow(ConnectionError);
  });
});

describe('an owner', () => {
  const metadata = { name: 'child', namespace: 'default', uid: '' };

  test('is added once, beside those that a manifest names', () => {
    const once = withOwner(metadata, OWNER);
    expect(once.ownerReferences).toEqual([OWNER]);
    expect(withOwner(once, OWNER)).toBe(once);
    expect(withOwner(metadata, null)).toBe(metadata);
  });

  test('is not the controller of what another one controls', () => {
    const other = { ...OWNER, uid: OWNER.uid.replace('6', '7') };
    const { controller: _controls, ...plain } = OWNER;
    expect(withOwner({ ...metadata, ownerReferences: [other] }, OWNER).ownerReferences).toEqual([
      other,
      plain,
    ]);
  });
});
