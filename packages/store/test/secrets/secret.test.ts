import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseObject, type Secret, SECRET_KIND, SecretKeyError } from '@drover/shared';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { StoredObject } from '../../src/objectApi.ts';
import { SecretKeyFile } from '../../src/secrets/keyFile.ts';
import { newSecretKey, SecretKeys } from '../../src/secrets/keys.ts';
import {
  LAST_APPLIED_ANNOTATION,
  sealSecret,
  summarizeSecret,
  unsealSecret,
} from '../../src/secrets/secret.ts';

const PASSWORD = 'correct horse battery staple';

let directory: string;
let keyPath: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'drover-keys-'));
  keyPath = join(directory, 'key');
});
afterEach(() => rm(directory, { recursive: true }));

async function keyFile(...keys: string[]): Promise<SecretKeyFile> {
  await writeFile(keyPath, `# keys of a test\n${keys.join('\n')}\n`);
  return new SecretKeyFile(keyPath);
}

function secret(metadata: object = {}): Secret {
  const annotations = { note: 'shown', [LAST_APPLIED_ANNOTATION]: `{"data":"${PASSWORD}"}` };
  const manifest = {
    metadata: { name: 'login', annotations, ...metadata },
    stringData: { password: PASSWORD },
  };
  const parsed = parseObject(SECRET_KIND, manifest);
  return { ...parsed, metadata: { ...parsed.metadata, uid: 'u1' } };
}

function stored(object: string, over: Partial<StoredObject> = {}): StoredObject {
  const path = { kind: 'Secret', namespace: 'default', name: 'login', uid: 'u1' };
  return { ...path, resourceVersion: 7, createdMs: 0, deletedMs: null, object, ...over };
}

describe('a stored Secret', () => {
  test('is what it was, and its data are in no text that is stored', async () => {
    const file = await keyFile(newSecretKey());
    const text = sealSecret(secret(), await file.read());
    const base64 = Buffer.from(PASSWORD).toString('base64');
    expect(text).not.toContain(PASSWORD);
    expect(text).not.toContain(base64);
    const { data, metadata, type } = await unsealSecret(stored(text), file);
    expect({ data, type }).toEqual({ data: { password: base64 }, type: 'Opaque' });
    expect(metadata).toMatchObject({
      name: 'login',
      resourceVersion: '7',
      annotations: { note: 'shown', [LAST_APPLIED_ANNOTATION]: `{"data":"${PASSWORD}"}` },
    });
    expect(sealSecret(secret(), await file.read())).not.toBe(text);
  });

  test('says without a key what is in it, not what it is', async () => {
    const keys = SecretKeys.parse(newSecretKey(), 'key');
    const summary = summarizeSecret(stored(sealSecret(secret(), keys)));
    expect(summary).toMatchObject({ sizes: { password: PASSWORD.length }, keyId: keys.id });
    expect(summary).not.toHaveProperty('data');
    expect(summary.metadata.annotations).toEqual({ note: 'shown' });
  });

  test('is nothing in another place, nor when a bit of it is another', async () => {
    const file = await keyFile(newSecretKey());
    const text = sealSecret(secret(), await file.read());
    for (const wrong of [{ uid: 'u2' }, { name: 'other' }, { namespace: 'other' }]) {
      await expect(unsealSecret(stored(text, wrong), file)).rejects.toThrow(SecretKeyError);
    }
    const { sealed, ...others } = JSON.parse(text) as { sealed: { key: string; bytes: string } };
    const bytes = Buffer.from(sealed.bytes, 'base64');
    bytes[bytes.length - 1]! ^= 1;
    const changed = { ...others, sealed: { ...sealed, bytes: bytes.toString('base64') } };
    await expect(unsealSecret(stored(JSON.stringify(changed)), file)).rejects.toThrow(
      'the data of Secret "login" in namespace "default" can not be read: what is stored of it is not what was written',
    );
  });
});

describe('keys', () => {
  test('the first of the file encrypts, all of them decrypt', async () => {
    const [first, second] = [newSecretKey(), newSecretKey()];
    const old = sealSecret(secret(), await (await keyFile(first)).read());
    const file = await keyFile(second, first);
    expect((await unsealSecret(stored(old), file)).data).toBeDefined();
    const now = summarizeSecret(stored(sealSecret(secret(), await file.read())));
    expect(now.keyId).toBe(SecretKeys.parse(second, '').id);
  });

  test('a key that is missing is named, and found once it is in the file', async () => {
    const [first, second] = [newSecretKey(), newSecretKey()];
    const text = sealSecret(secret(), SecretKeys.parse(first, ''));
    const file = await keyFile(second);
    const { id } = SecretKeys.parse(first, '');
    await expect(unsealSecret(stored(text), file)).rejects.toThrow(
      `it is encrypted with the key ${id}, which is not in ${keyPath}`,
    );
    await keyFile(second, first);
    expect((await unsealSecret(stored(text), file)).data).toBeDefined();
  });

  test.each([
    ['', 'there is no key in it'],
    ['# nothing\n', 'there is no key in it'],
    ['hunter2\n', 'line 1: 32 bytes in base64 are expected'],
    [`${newSecretKey()}\n${newSecretKey()}A\n`, 'line 2: 32 bytes in base64 are expected'],
  ])('the file %j is refused without showing what is in it', async (text, problem) => {
    await writeFile(keyPath, text);
    const reading = new SecretKeyFile(keyPath).read();
    await expect(reading).rejects.toThrow(SecretKeyError);
    await expect(reading).rejects.toThrow(problem);
    await expect(reading).rejects.not.toThrow('hunter2');
  });

  test('without a file, or without one that can be read, it is said what to do', async () => {
    await expect(new SecretKeyFile('').read()).rejects.toThrow('drover secret-key create FILE');
    await expect(new SecretKeyFile(keyPath).read()).rejects.toThrow(
      `the key file ${keyPath} can not be read: no such file`,
    );
  });
});
