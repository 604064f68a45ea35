import { describe, expect, test } from 'vitest';

import { manifest, problemsOf } from './manifests.ts';

function problems(spec: object, pod: object = {}): string[] {
  return problemsOf(manifest({ spec: { ...spec }, pod: { ...pod } }));
}

function rule(changes: object): Record<string, unknown> {
  return { action: 'Count', onExitCodes: { operator: 'In', values: [1] }, ...changes };
}

const exitCodes = (changes: object) =>
  rule({ onExitCodes: { operator: 'In', values: [1], ...changes } });
const RULE = 'spec.podFailurePolicy.rules[0]';

describe('podFailurePolicy', () => {
  const cases: { name: string; given: unknown[]; want: string[] }[] = [
    { name: 'no rule at all is accepted', given: [], want: [] },
    { name: '20 rules', given: Array.from({ length: 20 }, () => rule({})), want: [] },
    {
      name: '21 rules',
      given: Array.from({ length: 21 }, () => rule({})),
      want: ['spec.podFailurePolicy.rules TooMany must have at most 20 items'],
    },
    {
      name: 'no action',
      given: [rule({ action: undefined })],
      want: [`${RULE}.action Required valid values: "Count", "FailIndex", "FailJob", "Ignore"`],
    },
    {
      name: 'an unknown action',
      given: [rule({ action: 'Retry' })],
      want: [
        `${RULE}.action NotSupported supported values: "Count", "FailIndex", "FailJob", "Ignore"`,
      ],
    },
    {
      name: 'FailIndex without a limit for each index',
      given: [rule({ action: 'FailIndex' })],
      want: [`${RULE}.action Invalid requires the backoffLimitPerIndex to be set`],
    },
    {
      name: 'both matches',
      given: [rule({ onPodConditions: [{ type: 'DisruptionTarget' }] })],
      want: [`${RULE} Invalid specifying both OnExitCodes and OnPodConditions is not supported`],
    },
    {
      name: 'no match',
      given: [rule({ onExitCodes: undefined, onPodConditions: [] })],
      want: [`${RULE} Invalid specifying one of OnExitCodes and OnPodConditions is required`],
    },
    {
      name: 'no operator',
      given: [exitCodes({ operator: undefined })],
      want: [`${RULE}.onExitCodes.operator Required valid values: "In", "NotIn"`],
    },
    {
      name: 'an unknown operator',
      given: [exitCodes({ operator: 'Exists' })],
      want: [`${RULE}.onExitCodes.operator NotSupported supported values: "In", "NotIn"`],
    },
    { name: 'its container', given: [exitCodes({ containerName: 'main' })], want: [] },
    {
      name: 'no container of the pod',
      given: [exitCodes({ containerName: 'other' })],
      want: [
        `${RULE}.onExitCodes.containerName Invalid must be one of the container or initContainer names in the pod template`,
      ],
    },
    {
      name: 'no exit codes',
      given: [exitCodes({ values: [] })],
      want: [`${RULE}.onExitCodes.values Invalid at least one value is required`],
    },
    {
      name: '255 exit codes',
      given: [exitCodes({ values: Array.from({ length: 255 }, (_, at) => at + 1) })],
      want: [],
    },
    {
      name: '256 exit codes',
      given: [exitCodes({ values: Array.from({ length: 256 }, (_, at) => at + 1) })],
      want: [`${RULE}.onExitCodes.values TooMany must have at most 255 items`],
    },
    {
      name: '0 is no failure',
      given: [exitCodes({ values: [0, 1] })],
      want: [`${RULE}.onExitCodes.values[0] Invalid must not be 0 for the In operator`],
    },
    {
      name: '0 may be excluded',
      given: [exitCodes({ operator: 'NotIn', values: [0, 1] })],
      want: [],
    },
    {
      name: 'an exit code twice',
      given: [exitCodes({ values: [1, 2, 2] })],
      want: [`${RULE}.onExitCodes.values[2] Duplicate`],
    },
    {
      name: 'exit codes out of order',
      given: [exitCodes({ values: [2, 1] })],
      want: [`${RULE}.onExitCodes.values Invalid must be ordered`],
    },
    {
      name: '21 conditions',
      given: [
        rule({
          onExitCodes: undefined,
          onPodConditions: Array.from({ length: 21 }, () => ({ type: 'A' })),
        }),
      ],
      want: [`${RULE}.onPodConditions TooMany must have at most 20 items`],
    },
    {
      name: 'a condition of an unknown status',
      given: [rule({ onExitCodes: undefined, onPodConditions: [{ type: 'A', status: 'Maybe' }] })],
      want: [
        `${RULE}.onPodConditions[0].status NotSupported supported values: "False", "True", "Unknown"`,
      ],
    },
  ];

  test.each(cases)('$name', ({ given, want }) => {
    expect(problems({ podFailurePolicy: { rules: given } })).toEqual(want);
  });

  test('the type of a condition is a qualified name', () => {
    const rules = [rule({ onExitCodes: undefined, onPodConditions: [{ type: '-' }] })];
    const [problem] = problems({ podFailurePolicy: { rules } });
    expect(problem).toMatch(
      /^spec\.podFailurePolicy\.rules\[0\]\.onPodConditions\[0\]\.type Invalid/,
    );
  });

  test('needs restartPolicy Never and podReplacementPolicy Failed', () => {
    const spec = { podFailurePolicy: { rules: [] }, podReplacementPolicy: 'TerminatingOrFailed' };
    expect(problems(spec, { restartPolicy: 'OnFailure' })).toEqual([
      'spec.podReplacementPolicy NotSupported supported values: "Failed"',
      'spec.template.spec.restartPolicy Invalid only "Never" is supported when podFailurePolicy is specified',
    ]);
  });
});

describe('successPolicy', () => {
  const path = 'spec.successPolicy.rules';
  const cases: { name: string; given: unknown[]; want: string[] }[] = [
    {
      name: 'no rules',
      given: [],
      want: [
        `${path} Required at least one rules must be specified when the successPolicy is specified`,
      ],
    },
    {
      name: '21 rules',
      given: Array.from({ length: 21 }, () => ({ succeededCount: 1 })),
      want: [`${path} TooMany must have at most 20 items`],
    },
    {
      name: 'an empty rule',
      given: [{}],
      want: [
        `${path}[0] Required at least one of succeededCount or succeededIndexes must be specified`,
      ],
    },
    {
      name: 'indexes and count',
      given: [{ succeededIndexes: '0,2-4', succeededCount: 4 }],
      want: [],
    },
    {
      name: 'more than are named',
      given: [{ succeededIndexes: '0,2-4', succeededCount: 5 }],
      want: [
        `${path}[0].succeededCount Invalid must be less than or equal to 4 (the number of indexes in the specified succeededIndexes field)`,
      ],
    },
    { name: 'all', given: [{ succeededCount: 10 }], want: [] },
    {
      name: 'more than there are',
      given: [{ succeededCount: 11 }],
      want: [
        `${path}[0].succeededCount Invalid must be less than or equal to 10 (the number of specified completions)`,
      ],
    },
    {
      name: 'less than none',
      given: [{ succeededCount: -1 }],
      want: [`${path}[0].succeededCount Invalid must be greater than or equal to 0`],
    },
    {
      name: 'an index that is not there',
      given: [{ succeededIndexes: '10' }],
      want: [
        `${path}[0].succeededIndexes Invalid error parsing succeededIndexes: too large index: "10"`,
      ],
    },
    {
      name: 'a text without end',
      given: [{ succeededIndexes: ' '.repeat(64 * 1024 + 1) }],
      want: [`${path}[0].succeededIndexes TooLong may not be more than 65536 bytes`],
    },
  ];

  test.each(cases)('$name', ({ given, want }) => {
    const spec = { completionMode: 'Indexed', completions: 10, successPolicy: { rules: given } };
    expect(problems(spec)).toEqual(want);
  });

  test('needs indexes', () => {
    expect(problems({ successPolicy: { rules: [{ succeededCount: 1 }] } })).toEqual([
      'spec.successPolicy Invalid requires indexed completion mode',
    ]);
  });
});
