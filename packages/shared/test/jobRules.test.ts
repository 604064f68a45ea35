import { describe, expect, test } from 'vitest';

import { MAX_COMPLETIONS, MAX_JOB_BYTES, MAX_PARALLELISM } from '../src/index.ts';
import { manifest, problemsOf, type ManifestChanges } from './manifests.ts';

interface Case {
  readonly name: string;
  readonly given: ManifestChanges;
  /** Path, kind and beginning of the detail of each problem; none for a valid Job. */
  readonly want: readonly string[];
}

const indexed = (spec: object) => ({ spec: { completionMode: 'Indexed', ...spec } });
const itemPerPod = (how: string) => ({ 'drover.dev/item-per-pod': how });
const metadata: Case[] = [
  {
    name: 'a name in capitals',
    given: { metadata: { name: 'Pi' } },
    want: ['metadata.name Invalid a lowercase RFC 1123 subdomain'],
  },
  { name: 'a name of 63 characters', given: { metadata: { name: 'a'.repeat(63) } }, want: [] },
  {
    name: 'a name of 64 characters, which becomes a label',
    given: { metadata: { name: 'a'.repeat(64) } },
    want: ['spec.template.labels Invalid must be no more than 63 bytes'],
  },
  {
    name: 'neither name nor generateName',
    given: { metadata: { name: undefined } },
    want: ['metadata.name Required name or generateName is required'],
  },
  {
    name: 'an empty name',
    given: { metadata: { name: '' } },
    want: ['metadata.name Required name or generateName is required'],
  },
  {
    name: 'a generateName in capitals',
    given: { metadata: { name: undefined, generateName: 'Pi-' } },
    want: ['metadata.generateName Invalid a lowercase RFC 1123 subdomain'],
  },
  {
    name: 'a namespace with dots',
    given: { metadata: { namespace: 'a.b' } },
    want: ['metadata.namespace Invalid must not contain dots'],
  },
  {
    name: 'a work queue',
    given: {
      metadata: { annotations: { 'drover.dev/work-queue': 'pages' } },
      spec: { parallelism: 2 },
    },
    want: [],
  },
  {
    name: 'a work queue that has no name, and completions',
    given: { metadata: { annotations: { 'drover.dev/work-queue': 'Pages' } } },
    want: [
      'metadata.annotations[drover.dev/work-queue] Invalid a lowercase RFC 1123 label',
      'spec.completions Invalid must not be set when the pods take items from a work queue',
    ],
  },
  {
    name: 'an item for each pod',
    given: {
      metadata: { annotations: { 'drover.dev/work-queue': 'pages', ...itemPerPod('stdin') } },
      spec: { completions: 9, parallelism: 2 },
    },
    want: [],
  },
  {
    name: 'an item for each pod, but of no work queue, in no known way, and for an index',
    given: {
      metadata: { annotations: itemPerPod('context') },
      spec: { completions: 9, completionMode: 'Indexed' },
    },
    want: [
      'metadata.annotations[drover.dev/work-queue] Required when each pod takes one item',
      'metadata.annotations[drover.dev/item-per-pod] NotSupported supported values: "stdin", "env", "file"',
      'spec.completionMode Invalid must be NonIndexed when each pod takes one item',
    ],
  },
  {
    name: 'an item for each pod of a handler as for programs',
    given: {
      metadata: { annotations: { 'drover.dev/work-queue': 'pages', ...itemPerPod('stdin') } },
      spec: { completions: 9 },
      pod: { runtimeClassName: 'handler' },
      container: { command: undefined, image: 'fetch' },
    },
    want: [
      'metadata.annotations[drover.dev/item-per-pod] NotSupported supported values: "context"',
    ],
  },
  {
    name: 'an item for each pod, of which it is not said how many there are',
    given: {
      metadata: { annotations: { 'drover.dev/work-queue': 'pages', ...itemPerPod('env') } },
      spec: { parallelism: 2 },
    },
    want: ['spec.completions Required when each pod takes one item: the number of items'],
  },
  {
    name: 'a uid that is none',
    given: { metadata: { uid: '1' } },
    want: ['metadata.uid Invalid must be a UUID'],
  },
  {
    name: 'label key and value',
    given: { metadata: { labels: { '-a': '-b' } } },
    want: [
      'metadata.labels Invalid name part a qualified name',
      'metadata.labels Invalid a valid label',
    ],
  },
  {
    name: 'an annotation may hold anything under its key',
    given: { metadata: { annotations: { 'A/b': '-x y\n', '-c': '' } } },
    want: ['metadata.annotations Invalid name part'],
  },
  {
    name: 'annotations of 256 KiB together',
    given: { metadata: { annotations: { a: 'x'.repeat(256 * 1024 - 1) } } },
    want: [],
  },
  {
    name: 'annotations of more',
    given: { metadata: { annotations: { a: 'x'.repeat(256 * 1024) } } },
    want: ['metadata.annotations TooLong may not be more than 262144 bytes'],
  },
  {
    name: 'two owners that both manage it, one without a name',
    given: {
      metadata: {
        ownerReferences: [
          { apiVersion: 'v1', kind: 'A', name: 'a', uid: '1', controller: true },
          { apiVersion: 'v1', kind: 'A', name: '', uid: '2', controller: true },
        ],
      },
    },
    want: [
      'metadata.ownerReferences[1].name Invalid must not be empty',
      'metadata.ownerReferences Forbidden Only one reference',
    ],
  },
  {
    name: 'a finalizer that is no name',
    given: { metadata: { finalizers: ['a/b', '-'] } },
    want: ['metadata.finalizers[1] Invalid name part'],
  },
  {
    name: 'finalizers that contradict each other',
    given: { metadata: { finalizers: ['orphan', 'foregroundDeletion'] } },
    want: ['metadata.finalizers Invalid orphan and foregroundDeletion can not both be set'],
  },
];

const counts: Case[] = [
  ...['parallelism', 'completions', 'activeDeadlineSeconds', 'backoffLimit'].flatMap((field) => [
    { name: `${field} 0`, given: { spec: { [field]: 0 } }, want: [] },
    {
      name: `${field} -1`,
      given: { spec: { [field]: -1 } },
      want: [`spec.${field} Invalid must be greater than or equal to 0`],
    },
  ]),
  {
    name: 'a deadline may be longer than 32 bits of seconds',
    given: { spec: { activeDeadlineSeconds: 2 ** 31 } },
    want: [],
  },
  {
    name: 'a large parallelism that completions keep small',
    given: { spec: { parallelism: 2 ** 31 - 1, completions: 10 } },
    want: [],
  },
  {
    name: 'more pods at once than there may be slots',
    given: { spec: { parallelism: MAX_PARALLELISM + 1 } },
    want: [`spec.parallelism Invalid must be less than or equal to ${MAX_PARALLELISM} in Drover`],
  },
  { name: 'as many as there may be', given: { spec: { parallelism: MAX_PARALLELISM } }, want: [] },
  { name: 'as many completions', given: { spec: { completions: MAX_COMPLETIONS } }, want: [] },
  {
    name: 'more completions than bits may be asked for',
    given: { spec: { completions: MAX_COMPLETIONS + 1 } },
    want: [`spec.completions Invalid must be less than or equal to ${MAX_COMPLETIONS} in Drover`],
  },
  {
    name: 'a Job that is too large',
    given: { container: { args: ['x'.repeat(MAX_JOB_BYTES)] } },
    want: [`spec TooLong may not be more than ${MAX_JOB_BYTES} bytes`],
  },
];

const indexedCases: Case[] = [
  {
    name: 'Indexed with parallelism but no completions',
    given: indexed({ parallelism: 2 }),
    want: ['spec.completions Required when completion mode is Indexed'],
  },
  {
    name: 'Indexed with the most pods',
    given: indexed({ parallelism: 100_000, completions: 3 }),
    want: [],
  },
  {
    name: 'Indexed with more pods, though completions keep them small',
    given: indexed({ parallelism: 100_001, completions: 3 }),
    want: [
      'spec.parallelism Invalid must be less than or equal to 100000 when completion mode is Indexed',
    ],
  },
  {
    name: 'the hostname of the last index has 63 characters',
    given: { metadata: { name: 'a'.repeat(61) }, ...indexed({ completions: 10 }) },
    want: [],
  },
  {
    name: 'the hostname of the last index has 64',
    given: { metadata: { name: 'a'.repeat(61) }, ...indexed({ completions: 11 }) },
    want: ['metadata.name Invalid will not able to create pod with invalid DNS label: aaa'],
  },
  {
    name: 'a name with dots is no hostname',
    given: { metadata: { name: 'a.b' }, ...indexed({ completions: 1 }) },
    want: ['metadata.name Invalid will not able to create pod with invalid DNS label: a.b-0'],
  },
  {
    name: 'without completions there is no hostname to be wrong',
    given: { metadata: { name: 'a.b' }, ...indexed({ completions: 0 }) },
    want: [],
  },
  {
    name: 'a generated name counts with its suffix',
    given: {
      metadata: { name: undefined, generateName: `${'a'.repeat(57)}-` },
      ...indexed({ completions: 1 }),
    },
    want: ['metadata.generateName Invalid will not able to create pod'],
  },
  {
    name: 'limits of indexes need Indexed',
    given: { spec: { backoffLimitPerIndex: 1, maxFailedIndexes: 1 } },
    want: [
      'spec.backoffLimitPerIndex Invalid requires indexed completion mode',
      'spec.maxFailedIndexes Invalid requires indexed completion mode',
    ],
  },
  {
    name: 'maxFailedIndexes needs backoffLimitPerIndex',
    given: indexed({ completions: 5, maxFailedIndexes: 1 }),
    want: ['spec.backoffLimitPerIndex Required when maxFailedIndexes'],
  },
  {
    name: 'limits of indexes are not negative',
    given: indexed({ completions: 5, backoffLimitPerIndex: -1, maxFailedIndexes: -1 }),
    want: [
      'spec.backoffLimitPerIndex Invalid must be greater than or equal to 0',
      'spec.maxFailedIndexes Invalid must be greater than or equal to 0',
    ],
  },
  {
    name: 'no more indexes may fail than there are',
    given: indexed({ completions: 5, backoffLimitPerIndex: 1, maxFailedIndexes: 6 }),
    want: ['spec.maxFailedIndexes Invalid must be less than or equal to completions'],
  },
  {
    name: 'as many as there are may fail',
    given: indexed({ completions: 5, backoffLimitPerIndex: 1, maxFailedIndexes: 5 }),
    want: [],
  },
  {
    name: 'many completions with a limit for each need maxFailedIndexes',
    given: indexed({ completions: 100_001, backoffLimitPerIndex: 1 }),
    want: ['spec.maxFailedIndexes Required must be specified when completions is above 100000'],
  },
  {
    name: 'and less of everything',
    given: indexed({
      completions: 200_000,
      parallelism: 10_001,
      backoffLimitPerIndex: 1,
      maxFailedIndexes: 100_001,
    }),
    want: [
      'spec.maxFailedIndexes Invalid must be less than or equal to 100000',
      'spec.parallelism Invalid must be less than or equal to 10000 when completions are above 100000',
      'spec.maxFailedIndexes Invalid must be less than or equal to 10000 when completions are above',
    ],
  },
  {
    name: 'at 100,000 completions there is no such rule',
    given: indexed({ completions: 100_000, parallelism: 10_001, backoffLimitPerIndex: 1 }),
    want: [],
  },
];

const others: Case[] = [
  {
    name: 'a TTL, which may be 0',
    given: { spec: { ttlSecondsAfterFinished: 0 } },
    want: [],
  },
  {
    name: 'a negative TTL',
    given: { spec: { ttlSecondsAfterFinished: -1 } },
    want: ['spec.ttlSecondsAfterFinished Invalid must be greater than or equal to 0'],
  },
  {
    name: 'managed by us',
    given: { spec: { managedBy: 'kubernetes.io/job-controller' } },
    want: [],
  },
  {
    name: 'managed by another',
    given: { spec: { managedBy: 'acme.io/foo' } },
    want: [],
  },
  {
    name: 'managed by nobody',
    given: { spec: { managedBy: '' } },
    want: ['spec.managedBy Required'],
  },
  {
    name: 'managed by a long nobody',
    given: { spec: { managedBy: 'x'.repeat(64) } },
    want: [
      'spec.managedBy Invalid must be a domain-prefixed path',
      'spec.managedBy TooLong may not be more than 63 bytes',
    ],
  },
  {
    name: 'replacement of pods while they stop',
    given: { spec: { podReplacementPolicy: 'TerminatingOrFailed' } },
    want: [],
  },
  {
    name: 'replacement of pods that ended',
    given: { spec: { podReplacementPolicy: 'Failed' } },
    want: [],
  },
  {
    name: 'replacement of another kind',
    given: { spec: { podReplacementPolicy: 'Never' } },
    want: [
      'spec.podReplacementPolicy NotSupported supported values: "TerminatingOrFailed", "Failed"',
    ],
  },
  { name: 'no selector by hand', given: { spec: { manualSelector: false } }, want: [] },
  {
    name: 'a selector by hand that is missing',
    given: { spec: { manualSelector: true } },
    want: ['spec.selector Required'],
  },
  {
    name: 'a selector by hand that does not match',
    given: { spec: { manualSelector: true, selector: { matchLabels: { app: 'x' } } } },
    want: ['spec.template.metadata.labels Invalid `selector` does not match template `labels`'],
  },
  {
    name: 'a selector by hand that does',
    given: {
      spec: {
        manualSelector: true,
        selector: {
          matchLabels: { app: 'x' },
          matchExpressions: [{ key: 'tier', operator: 'In', values: ['a', 'b'] }],
        },
      },
      template: { metadata: { labels: { app: 'x', tier: 'b' } } },
    },
    want: [],
  },
  {
    name: 'a selector that was not asked for',
    given: { spec: { selector: { matchLabels: { '-': 'x' } } } },
    want: [
      'spec.selector.matchLabels Invalid name part',
      'spec.selector Invalid `selector` not auto-generated',
    ],
  },
  {
    name: 'how many pods are kept, in words',
    given: { metadata: { annotations: { 'drover.dev/kept-pods': 'some' } } },
    want: ['metadata.annotations[drover.dev/kept-pods] Invalid must be a whole number'],
  },
  {
    name: 'a pod that may be a client',
    given: { template: { metadata: { annotations: { 'drover.dev/client': 'maybe' } } } },
    want: ['spec.template.metadata.annotations[drover.dev/client] NotSupported'],
  },
  {
    name: 'a label that Drover gives, with another value',
    given: { template: { metadata: { labels: { 'job-name': 'e' } } } },
    want: [`spec.template.metadata.labels Invalid "job-name" must be 'pi'`],
  },
  {
    name: 'the same with the right value',
    given: { template: { metadata: { labels: { 'job-name': 'pi' } } } },
    want: [],
  },
  {
    name: 'the uid of a Job that has none yet',
    given: { template: { metadata: { labels: { 'controller-uid': 'x' } } } },
    want: ['spec.template.metadata.labels Invalid "controller-uid" is set by Drover; leave it out'],
  },
];

describe.each([
  ['metadata', metadata],
  ['counts', counts],
  ['Indexed Jobs', indexedCases],
  ['the rest', others],
])('rules for %s', (_, cases) => {
  test.each(cases)('$name', ({ given, want }) => {
    const problems = problemsOf(manifest(given));
    expect(problems.map((text, at) => text.slice(0, want[at]?.length ?? 0))).toEqual(want);
  });
});
