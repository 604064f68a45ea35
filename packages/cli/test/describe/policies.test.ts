import { describe, expect, test } from 'vitest';
import { policyEntries } from '../../src/describe/policies.ts';

describe('the policies of a Job', () => {
  test('are not told of when it has none', () => {
    expect(policyEntries({ podReplacementPolicy: 'TerminatingOrFailed' })).toEqual([]);
  });

  test('say who takes care of it', () => {
    const spec = { managedBy: 'acme.io/foo', podReplacementPolicy: 'TerminatingOrFailed' } as const;
    expect(policyEntries(spec)).toEqual([['Managed By', 'acme.io/foo']]);
  });

  test('are told by the numbers of their rules', () => {
    const rules = [
      {
        action: 'FailJob' as const,
        onExitCodes: { containerName: 'main', operator: 'In' as const, values: [42, 43] },
      },
      { action: 'Count' as const, onExitCodes: { operator: 'NotIn' as const, values: [1] } },
      {
        action: 'Ignore' as const,
        onPodConditions: [
          { type: 'DisruptionTarget', status: 'True' as const },
          { type: 'Ready', status: 'False' as const },
        ],
      },
    ];
    expect(policyEntries({ podReplacementPolicy: 'Failed', podFailurePolicy: { rules } })).toEqual([
      ['Pod Replacement Policy', 'Failed'],
      [
        'Pod Failure Policy',
        {
          part: [
            '0: FailJob on exit code of main 42, 43',
            '1: Count on exit code other than 1',
            '2: Ignore on condition DisruptionTarget=True or Ready=False',
          ],
        },
      ],
    ]);
    const successPolicy = {
      rules: [
        { succeededIndexes: '0,2-4' },
        { succeededIndexes: '0-9', succeededCount: 3 },
        { succeededCount: 5 },
      ],
    };
    expect(policyEntries({ podReplacementPolicy: 'TerminatingOrFailed', successPolicy })).toEqual([
      ['Success Policy', { part: ['0: all of 0,2-4', '1: 3 of 0-9', '2: any 5 indexes'] }],
    ]);
    expect(
      policyEntries({ podReplacementPolicy: 'Failed', podFailurePolicy: { rules: [] } }).at(-1),
    ).toEqual(['Pod Failure Policy', { part: ['<none>'] }]);
  });
});
