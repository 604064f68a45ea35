import { describe, expect, test } from 'vitest';
import {
  baseEnvironment,
  buildEnvironment,
  expandVariables,
  type PodFacts,
} from '../../src/process/environment.ts';

const pod: PodFacts = {
  name: 'pi-0-abcde',
  namespace: 'default',
  uid: '6f1a',
  labels: { app: 'pi', 'drover.dev/pool': 'big' },
  annotations: { note: 'two words' },
  nodeName: 'worker-1',
  serviceAccountName: 'robot',
  hostIP: '10.0.0.7',
  hostname: 'pi-0',
};

describe('expandVariables', () => {
  const variables = { A: '1', EMPTY: '', 'A.B': 'dotted' };
  const cases: { name: string; text: string; want: string }[] = [
    { name: 'a reference', text: 'x$(A)y', want: 'x1y' },
    { name: 'several references', text: '$(A)$(A.B)$(EMPTY)', want: '1dotted' },
    { name: 'an undefined reference stays', text: '$(B)', want: '$(B)' },
    { name: 'an escaped reference stays text', text: '$$(A)', want: '$(A)' },
    { name: 'an escaped dollar before a reference', text: '$$$(A)', want: '$1' },
    { name: 'two escapes', text: '$$$$(A)', want: '$$(A)' },
    { name: 'a lone dollar', text: 'a$b$', want: 'a$b$' },
    { name: 'shell syntax is left alone', text: '${A} $A `A`', want: '${A} $A `A`' },
    { name: 'a reference without its end', text: '$(A', want: '$(A' },
    { name: 'an empty reference', text: '$()', want: '$()' },
    { name: 'names of Object are not defined', text: '$(toString)', want: '$(toString)' },
    { name: 'a value is not expanded again', text: '$(LOOP)', want: '$(A)' },
  ];
  test.each(cases)('$name', ({ text, want }) => {
    expect(expandVariables(text, { ...variables, LOOP: '$(A)' })).toBe(want);
  });
});

describe('buildEnvironment', () => {
  test('gives base, HOSTNAME and the declared variables, which win', () => {
    const { all } = buildEnvironment(
      [
        { name: 'HOME', value: '/data' },
        { name: 'X', value: '1' },
      ],
      pod,
      { PATH: '/bin', HOME: '/root' },
    );
    expect(all).toEqual({ PATH: '/bin', HOME: '/data', HOSTNAME: 'pi-0', X: '1' });
  });

  test('a value refers to earlier variables only, and not to the base', () => {
    const { declared } = buildEnvironment(
      [
        { name: 'EARLY', value: '$(LATE) $(PATH)' },
        { name: 'LATE', value: '$(EARLY)!' },
        { name: 'NOTHING' },
      ],
      pod,
      { PATH: '/bin' },
    );
    expect({ ...declared }).toEqual({
      EARLY: '$(LATE) $(PATH)',
      LATE: '$(LATE) $(PATH)!',
      NOTHING: '',
    });
  });

  const fields: [path: string, want: string][] = [
    ['metadata.name', 'pi-0-abcde'],
    ['metadata.namespace', 'default'],
    ['metadata.uid', '6f1a'],
    ["metadata.labels['app']", 'pi'],
    ["metadata.labels['drover.dev/pool']", 'big'],
    ["metadata.labels['none']", ''],
    ["metadata.annotations['note']", 'two words'],
    ['spec.nodeName', 'worker-1'],
    ['spec.serviceAccountName', 'robot'],
    ['status.hostIP', '10.0.0.7'],
    ['status.hostIPs', '10.0.0.7'],
    ['status.podIP', '10.0.0.7'],
    ['status.podIPs', '10.0.0.7'],
  ];
  test.each(fields)('fieldRef %s', (fieldPath, want) => {
    const { all } = buildEnvironment(
      [{ name: 'F', valueFrom: { fieldRef: { fieldPath } } }],
      pod,
      {},
    );
    expect(all['F']).toBe(want);
  });

  test('a field that is not expanded: the value of a label may contain a reference', () => {
    const { all } = buildEnvironment(
      [
        { name: 'A', value: '1' },
        { name: 'F', valueFrom: { fieldRef: { fieldPath: "metadata.labels['x']" } } },
      ],
      { ...pod, labels: { x: '$(A)' } },
      {},
    );
    expect(all['F']).toBe('$(A)');
  });

  test('an unknown field is refused', () => {
    const variable = { name: 'F', valueFrom: { fieldRef: { fieldPath: 'spec.nodeNames' } } };
    expect(() => buildEnvironment([variable], pod, {})).toThrow(/spec\.nodeNames/);
  });
});

describe('baseEnvironment', () => {
  test('takes over only harmless variables of the worker', () => {
    const worker = {
      PATH: '/opt/bin',
      HOME: '/home/w',
      TZ: 'UTC',
      REDIS_PASSWORD: 'secret',
      LANG: '',
    };
    expect(baseEnvironment(worker)).toEqual({ PATH: '/opt/bin', HOME: '/home/w', TZ: 'UTC' });
  });

  test('has a PATH and a HOME in any case', () => {
    expect(baseEnvironment({})).toEqual({
      PATH: expect.stringContaining('/usr/bin') as string,
      HOME: '/',
    });
  });
});
