import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { decodeBase64, encodeBase64, isBase64 } from '../src/base64.ts';
import {
  base64Size,
  CONFIG_MAP_KIND,
  foldStringData,
  InvalidSpecError,
  MAX_CONFIG_BYTES,
  parseObject,
  parseObjectUpdate,
  SECRET_KIND,
  type ConfigMap,
  type Secret,
} from '../src/index.ts';
import { issuesIn } from './manifests.ts';

function configMap(content: object, metadata: object = {}): ConfigMap {
  return parseObject(CONFIG_MAP_KIND, { metadata: { name: 'settings', ...metadata }, ...content });
}

function secret(content: object, metadata: object = {}): Secret {
  return parseObject(SECRET_KIND, { metadata: { name: 'login', ...metadata }, ...content });
}

/** All that an error says, its issues included. */
function errorOf(act: () => unknown): string {
  try {
    act();
    return '';
  } catch (error) {
    if (!(error instanceof InvalidSpecError)) throw error;
    return JSON.stringify([error.message, error.issues]);
  }
}

const UID = '6f1d2c3b-4a59-4687-9abc-def012345678';

describe('a ConfigMap', () => {
  test('is its data, with defaults; what the store sets is not taken', () => {
    const stored = {
      uid: UID,
      resourceVersion: '7',
      creationTimestamp: 'x',
      deletionTimestamp: 'y',
    };
    const { metadata, ...content } = configMap({ data: { a: '1' } }, stored);
    expect(content).toEqual({ apiVersion: 'v1', kind: 'ConfigMap', data: { a: '1' } });
    expect(metadata).toEqual({ name: 'settings', namespace: 'default', uid: '' });
  });

  test('base64 may be broken into lines', () => {
    expect(configMap({ binaryData: { a: 'AAE\nC\r\n' } }).binaryData).toEqual({ a: 'AAEC' });
  });

  const half = 'x'.repeat(MAX_CONFIG_BYTES / 2);
  test.each([
    ['a key with a slash', { data: { 'a/b': '' } }, 'data[a/b] Invalid'],
    ['a key that leads upwards', { data: { '..': '' } }, "data[..] Invalid must not be '..'"],
    ['a key that begins so', { data: { '..a': '' } }, "data[..a] Invalid must not start with '..'"],
    [
      'a key that is too long',
      { data: { ['a'.repeat(254)]: '' } },
      'Invalid must be no more than 253',
    ],
    ['a number', { data: { a: 1 } }, 'data[a] Invalid must be a string (in quotes)'],
    ['no value', { data: { a: null } }, 'data[a] Invalid must be a string (in quotes)'],
    [
      'bytes that are not base64',
      { binaryData: { a: '!' } },
      'binaryData[a] Invalid must be base64',
    ],
    [
      'a key in both',
      { data: { a: '' }, binaryData: { a: '' } },
      'data[a] Invalid duplicate of key present in binaryData',
    ],
    ['a field that there is not', { dta: {} }, 'dta UnknownField'],
    [
      'more than a megabyte',
      { data: { a: half, b: `${half}x` } },
      `data TooLong may not be more than ${MAX_CONFIG_BYTES} bytes`,
    ],
    ['another kind', { kind: 'Secret' }, 'kind NotSupported supported values: "ConfigMap"'],
  ])('%s', (_name, content, problem) => {
    const problems = issuesIn(() => configMap(content));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
  });

  test('a megabyte is allowed', () => {
    expect(issuesIn(() => configMap({ data: { a: half, b: half } }))).toEqual([]);
  });

  test('has a name, and labels as every object', () => {
    expect(issuesIn(() => configMap({}, { name: '' }))).toHaveLength(1);
    expect(issuesIn(() => configMap({}, { name: 'A_b', labels: { a: '-' } }))).toHaveLength(2);
  });
});

describe('an immutable ConfigMap', () => {
  const stored = configMap({ data: { a: '1' }, immutable: true }, {});
  const detail = 'field is immutable when `immutable` is set';
  test.each([
    ['may get a label', { metadata: { name: 'settings', labels: { a: 'b' } } }, []],
    ['keeps its data', { data: { a: '2' } }, [`data Forbidden ${detail}`]],
    ['stays so', { immutable: false }, [`immutable Forbidden ${detail}`]],
  ])('%s', (_name, change, problems) => {
    const act = () => parseObjectUpdate(CONFIG_MAP_KIND, stored, { ...stored, ...change });
    expect(issuesIn(act)).toEqual(problems);
  });
});

test('a changed object is the same object', () => {
  const made = configMap({ data: { a: '1' } });
  const metadata = { ...made.metadata, uid: UID, creationTimestamp: '2026-01-01T00:00:00Z' };
  const stored = { ...made, metadata };
  const update = (change: object) =>
    parseObjectUpdate(CONFIG_MAP_KIND, stored, {
      ...made,
      metadata: { ...made.metadata, ...change },
    });
  expect(update({}).metadata).toMatchObject({
    uid: UID,
    creationTimestamp: '2026-01-01T00:00:00Z',
  });
  expect(issuesIn(() => update({ name: 'other' }))).toEqual([
    'metadata.name Invalid field is immutable',
  ]);
  expect(issuesIn(() => update({ uid: UID.replace('6', '7') }))).toHaveLength(1);
  expect(issuesIn(() => update({ namespace: 'other' }))).toHaveLength(1);
});

test('an object that is to be deleted gets no more finalizers', () => {
  const made = configMap({}, { finalizers: ['example.com/a'] });
  const deletionTimestamp = '2026-01-01T00:00:00Z';
  const stored = { ...made, metadata: { ...made.metadata, deletionTimestamp } };
  const update = (finalizers: string[]) => {
    const metadata = { ...made.metadata, finalizers };
    return issuesIn(() => parseObjectUpdate(CONFIG_MAP_KIND, stored, { ...made, metadata }));
  };
  expect(update([])).toEqual([]);
  expect(update(['example.com/a', 'example.com/b'])).toHaveLength(1);
});

describe('a Secret', () => {
  test('stringData is put into data', () => {
    const { data, ...others } = secret({ data: { a: 'MQ==', b: 'Mg==' }, stringData: { b: 'ü' } });
    expect(data).toEqual({ a: 'MQ==', b: 'w7w=' });
    expect(others).toMatchObject({ type: 'Opaque' });
    expect(others).not.toHaveProperty('stringData');
    expect(foldStringData({ stringData: { b: 'ü' } })).toEqual({ data: { b: 'w7w=' } });
    expect(foldStringData({ stringData: { b: 1 } })).toEqual({ stringData: { b: 1 } });
  });

  const json = encodeBase64('{"auths":{}}');
  test.each([
    ['opaque, without data', 'Opaque', {}, []],
    ['a type of its own', 'example.com/thing', {}, []],
    ['tls without a key', 'kubernetes.io/tls', { 'tls.crt': '' }, ['data[tls.key] Required']],
    ['basic-auth with a user only', 'kubernetes.io/basic-auth', { username: 'YQ==' }, []],
    [
      'basic-auth with neither',
      'kubernetes.io/basic-auth',
      {},
      ['data[username] Required', 'data[password] Required'],
    ],
    ['ssh-auth', 'kubernetes.io/ssh-auth', {}, ['data[ssh-privatekey] Required']],
    ['dockerconfigjson', 'kubernetes.io/dockerconfigjson', { '.dockerconfigjson': json }, []],
    [
      'dockercfg that is no JSON',
      'kubernetes.io/dockercfg',
      { '.dockercfg': 'MQ==' },
      ['data[.dockercfg] Invalid must be a JSON object'],
    ],
    [
      'a token of nobody',
      'kubernetes.io/service-account-token',
      {},
      ['metadata.annotations[kubernetes.io/service-account.name] Required'],
    ],
    [
      'plain text',
      'Opaque',
      { a: 'pass word' },
      ['data[a] Invalid must be base64; plain text belongs in stringData'],
    ],
  ])('%s', (_name, type, data, problems) => {
    expect(issuesIn(() => secret({ type, data }))).toEqual(problems);
  });

  test.each(['data', 'stringData'])('a key __proto__ in %s is told, not left out', (field) => {
    const content = JSON.parse(`{"${field}": {"a": "MQ==", "__proto__": "Mg=="}}`) as object;
    expect(issuesIn(() => secret(content))).toContain(
      `${field}[__proto__] Invalid nothing can have this name`,
    );
  });

  test('its type does not change', () => {
    const stored = secret({});
    const update = { ...stored, type: 'example.com/other' };
    expect(issuesIn(() => parseObjectUpdate(SECRET_KIND, stored, update))).toEqual([
      'type Invalid field is immutable',
    ]);
  });

  test.each([
    { data: { a: 'hunter2!' } },
    { data: { a: ['hunter2'] } },
    { data: 'hunter2' },
    { stringData: { a: { b: 'hunter2' } } },
    { stringData: 'hunter2' },
    { stringData: { 'a/b': 'hunter2' }, type: 'kubernetes.io/dockercfg' },
    { stringData: { '.dockercfg': 'hunter2' }, type: 'kubernetes.io/dockercfg' },
  ])('what is wrong with %j is told without its values', (content) => {
    const told = errorOf(() => secret(content));
    expect(told).toContain('Secret \\"login\\" is invalid');
    expect(told).not.toContain('hunter2');
  });
});

test('base64 is that of Node', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
      const encoded = Buffer.from(text).toString('base64');
      expect(encodeBase64(text)).toBe(encoded);
      expect(decodeBase64(encoded)).toBe(text);
      expect(base64Size(encoded)).toBe(Buffer.byteLength(text));
      expect(isBase64(encoded)).toBe(true);
    }),
  );
  expect(decodeBase64('/w==')).toBeNull();
  for (const text of ['a', 'aa', '====', 'a===', 'aa=a', 'a b='])
    expect(isBase64(text)).toBe(false);
});
