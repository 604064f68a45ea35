import { describe, expect, test } from 'vitest';

import {
  InvalidSpecError,
  parseObject,
  quotaAmounts,
  quotaDenialText,
  quotaShare,
  quotaStatus,
  RESOURCE_QUOTA_KIND,
  type PodSpec,
  type QuotaDenial,
} from '../src/index.ts';

function pod(containers: object[], more: object = {}): PodSpec {
  return { containers, ...more } as unknown as PodSpec;
}

function container(name: string, requests: object = {}, limits: object = {}) {
  return { name, resources: { requests, limits } };
}

function quota(hard: Record<string, string | number>, more: object = {}) {
  return parseObject(RESOURCE_QUOTA_KIND, { metadata: { name: 'q' }, spec: { hard, ...more } });
}

describe('what a pod takes', () => {
  const cases: { name: string; spec: PodSpec; want: string }[] = [
    { name: 'nothing is stated', spec: pod([container('a')]), want: '' },
    {
      name: 'requests and limits of all containers',
      spec: pod([
        container('a', { cpu: '250m', memory: '1Ki' }, { cpu: '1', memory: '2Ki' }),
        container('b', { cpu: '1', memory: '1Ki' }, { cpu: '2', memory: '2Ki' }),
      ]),
      want: '1250 2048 3000 4096 0',
    },
    {
      name: 'a limit stands for a request',
      spec: pod([container('a', {}, { cpu: '1' })]),
      want: '1000 0 1000 0 10',
    },
    {
      name: 'one container of two states its cpu: it counts, and the other one is missed',
      spec: pod([container('a', { cpu: '1' }), container('b')]),
      want: '1000 0 0 0 15',
    },
    {
      name: 'an initContainer that needs more than what runs after it',
      spec: pod([container('a', { cpu: '1' })], { initContainers: [container('i', { cpu: '3' })] }),
      want: '3000 0 0 0 14',
    },
    {
      name: 'the pod as a whole says it for its containers',
      spec: pod([container('a')], { resources: { requests: { cpu: '2' } } }),
      want: '2000 0 0 0 14',
    },
  ];
  test.each(cases)('$name', ({ spec, want }) => expect(quotaShare(spec)).toBe(want));
});

describe('a denial in words', () => {
  const spec = pod([container('main'), container('extra', { cpu: '1' })]);
  const cases: { denial: QuotaDenial; want: string }[] = [
    {
      denial: {
        quota: 'small',
        type: 'exceeded',
        resources: [
          ['requests.memory', '1073741824', '3221225472', '4294967295'],
          ['pods', '1', '5', '5'],
          ['cpu', '500', '1500', '1999'],
        ],
      },
      want: 'exceeded quota: small, requested: cpu=500m,pods=1,requests.memory=1Gi, used: cpu=1500m,pods=5,requests.memory=3Gi, limited: cpu=1999m,pods=5,requests.memory=4294967295',
    },
    {
      denial: { quota: 'small', type: 'unspecified', resources: [['limits.memory'], ['cpu']] },
      want: 'failed quota: small: must specify cpu for: main; limits.memory for: extra,main',
    },
    {
      denial: { quota: 'small', type: 'unknown', resources: [['pods'], ['cpu']] },
      want: 'status unknown for quota: small, resources: cpu,pods',
    },
  ];
  test.each(cases)('$denial.type', ({ denial, want }) => {
    expect(quotaDenialText(denial, spec)).toBe(want);
  });
});

test('amounts are whole units, what is taken is told in quantities', () => {
  const hard = { cpu: '1500.5m', 'requests.memory': '1Gi', pods: 4, 'count/jobs.batch': '2' };
  const object = quota(hard);
  expect(quotaAmounts(object)).toEqual({
    cpu: '1500',
    'requests.memory': '1073741824',
    pods: '4',
    'count/jobs.batch': '2',
  });
  const usage = {
    pods: { pods: 2, 'requests.cpu': 1200, 'requests.memory': 536870912 },
    objects: { Job: 1 },
  };
  expect(quotaStatus(object, usage).used).toEqual({
    cpu: '1200m',
    'requests.memory': '512Mi',
    pods: '2',
    'count/jobs.batch': '1',
  });
});

test('what has no meaning here is refused, all of it at once', () => {
  const hard = { 'count/pods': '1', services: '2', pods: '1.5', cpu: '-1', 'limits.cpu': '2' };
  const found = problemsOf(() => quota(hard, { scopes: ['BestEffort'], scopeSelector: {} }));
  expect(found).toEqual([
    'spec.hard[count/pods] Forbidden',
    'spec.hard[services] NotSupported',
    'spec.hard[pods] Invalid',
    'spec.hard[cpu] Invalid',
    'spec.scopes Forbidden',
    'spec.scopeSelector Forbidden',
  ]);
});

function problemsOf(make: () => unknown): string[] {
  try {
    make();
  } catch (error) {
    if (error instanceof InvalidSpecError) {
      return error.issues.map(({ path, kind }) => `${path} ${kind}`);
    }
    throw error;
  }
  return [];
}
