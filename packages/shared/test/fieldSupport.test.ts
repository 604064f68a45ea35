import { describe, expect, test } from 'vitest';

import {
  FIELD_RULES,
  generateSelectorAndLabels,
  parseJob,
  parseJobUpdate,
  type FieldRule,
} from '../src/index.ts';
import { applyFieldRules } from '../src/fieldSupport.ts';
import { handlerManifest, manifest, problemsOf } from './manifests.ts';

/** A manifest in which the field of a row has a value that means something. */
function withField({ path }: FieldRule): object {
  const root: Record<string, unknown> = {};
  let here: Record<string, unknown> = root;
  const parts = path.split('.');
  for (const [at, part] of parts.entries()) {
    const isLast = at === parts.length - 1;
    const isList = part.endsWith('[*]');
    const next: Record<string, unknown> = isLast ? { something: 1 } : {};
    here[isList ? part.slice(0, -3) : part] = isList ? [next] : next;
    here = next;
  }
  return root;
}

function pathOf({ path }: FieldRule): string {
  return path.replaceAll('[*]', '[0]');
}

const bySupport = Object.groupBy(FIELD_RULES, ({ support }) => support);

describe('every refused field is refused with its reason', () => {
  test.each(bySupport.refused ?? [])('$path', (rule) => {
    const { warnings, issues } = applyFieldRules(withField(rule));
    expect(warnings).toEqual([]);
    expect(issues).toEqual([{ path: pathOf(rule), kind: 'Forbidden', detail: rule.why }]);
  });
});

describe('every inert field is warned of', () => {
  test.each(bySupport.inert ?? [])('$path', (rule) => {
    const { warnings, issues } = applyFieldRules(withField(rule));
    expect(issues).toEqual([]);
    expect(warnings).toEqual([`${pathOf(rule)}: no effect: ${rule.why}`]);
  });
});

describe('an honoured field is not mentioned', () => {
  const honoured = (bySupport.honoured ?? []).filter(({ path }) =>
    path.startsWith('spec.template'),
  );
  test.each(honoured)('$path', (rule) => {
    expect(applyFieldRules(withField(rule))).toEqual({ warnings: [], issues: [] });
  });
});

test('values that mean "not set" are not mentioned', () => {
  const pod = {
    dnsPolicy: 'ClusterFirst',
    schedulerName: 'default-scheduler',
    hostNetwork: false,
    enableServiceLinks: true,
    tolerations: [],
    affinity: { nodeAffinity: {} },
    securityContext: {},
    volumes: [],
    priorityClassName: '',
    os: { name: 'linux' },
  };
  const container = {
    tty: false,
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    resources: {},
  };
  expect(parseJob(manifest({ pod, container })).warnings).toEqual([]);
});

test('false where true is the rule is mentioned', () => {
  const { warnings } = parseJob(manifest({ pod: { hostUsers: false, enableServiceLinks: false } }));
  expect(warnings).toHaveLength(2);
});

test('an ordinary manifest of Kubernetes is accepted, with a warning for each part of no effect', () => {
  const input = manifest({
    pod: {
      tolerations: [{ key: 'a', operator: 'Exists' }],
      serviceAccountName: 'robot',
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    },
    container: {
      image: 'perl:5.34.0',
      imagePullPolicy: 'IfNotPresent',
      resources: { limits: { cpu: '1', memory: '1Gi' } },
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    },
  });
  const paths = parseJob(input).warnings.map((warning) => warning.split(':')[0] ?? '');
  expect(paths.toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
    'spec.template.spec.containers[0].image',
    'spec.template.spec.containers[0].imagePullPolicy',
    'spec.template.spec.containers[0].resources.limits[cpu]',
    'spec.template.spec.containers[0].securityContext.allowPrivilegeEscalation',
    'spec.template.spec.containers[0].securityContext.capabilities.drop',
    'spec.template.spec.securityContext.seccompProfile',
    'spec.template.spec.serviceAccountName',
    'spec.template.spec.tolerations',
  ]);
});

test('what a handler makes of a field may differ', () => {
  expect(parseJob(handlerManifest()).warnings).toEqual([]);
  expect(problemsOf(handlerManifest({ container: { command: ['x'] } }))).toHaveLength(1);
  expect(problemsOf(manifest({ container: { command: ['x'] } }))).toEqual([]);
});

test('an update warns of what it changes only', () => {
  const uid = '6f1d2c3b-4a59-4687-9abc-def012345678';
  const input = manifest({ metadata: { uid }, container: { image: 'a' } });
  const job = generateSelectorAndLabels(parseJob(input).job);
  const update = structuredClone(job);
  update.spec.parallelism = 2;
  expect(parseJobUpdate(job, update).warnings).toEqual([]);
  update.spec.template.spec.schedulerName = 'mine';
  expect(applyFieldRules(update, job).warnings).toEqual([
    'spec.template.spec.schedulerName: no effect: workers take pods themselves',
  ]);
});
