import { describe, expect, test } from 'vitest';

import { generateSelectorAndLabels, type Job } from '../src/index.ts';
import { issuesIn, jobOf, type Changes } from './manifests.ts';

const UID = '6f1d2c3b-4a59-4687-9abc-def012345678';
const GENERATED = {
  'batch.kubernetes.io/controller-uid': UID,
  'batch.kubernetes.io/job-name': 'pi',
  'controller-uid': UID,
  'job-name': 'pi',
};

function job(labels: Changes | undefined, ownLabels?: Changes): Job {
  const whole = jobOf({ metadata: { uid: UID, labels: ownLabels } });
  const { spec } = whole;
  const metadata = labels === undefined ? {} : { labels: labels as Record<string, string> };
  return { ...whole, spec: { ...spec, template: { ...spec.template, metadata } } };
}

describe('generateSelectorAndLabels', () => {
  test('gives selector, labels of pods, and labels to a Job without any', () => {
    const given = job({ app: 'x' });
    const before = structuredClone(given);
    const { metadata, spec } = generateSelectorAndLabels(given);
    expect(spec.selector).toEqual({ matchLabels: { 'batch.kubernetes.io/controller-uid': UID } });
    expect(spec.template.metadata.labels).toEqual({ app: 'x', ...GENERATED });
    expect(metadata.labels).toEqual({ app: 'x', ...GENERATED });
    expect(given).toEqual(before);
  });

  test('a template without labels gets them all the same', () => {
    const { metadata, spec } = generateSelectorAndLabels(job(undefined));
    expect(spec.template.metadata.labels).toEqual(GENERATED);
    expect(metadata.labels).toEqual(GENERATED);
  });

  test('a Job with a label of its own keeps just that', () => {
    expect(generateSelectorAndLabels(job({ app: 'x' }, { mine: 'y' })).metadata.labels).toEqual({
      mine: 'y',
    });
  });

  test('may be done again', () => {
    const once = generateSelectorAndLabels(job({ app: 'x' }));
    expect(generateSelectorAndLabels(once)).toEqual(once);
  });

  test('does not overwrite what the user says, but refuses it', () => {
    const labels = { 'job-name': 'e', 'batch.kubernetes.io/controller-uid': 'x' };
    expect(issuesIn(() => generateSelectorAndLabels(job(labels)))).toEqual([
      `spec.template.metadata.labels Invalid "batch.kubernetes.io/controller-uid" must be '${UID}'`,
      `spec.template.metadata.labels Invalid "job-name" must be 'pi'`,
    ]);
  });

  test('needs name and uid', () => {
    expect(() => generateSelectorAndLabels(jobOf())).toThrow('name and uid are chosen before');
  });
});
