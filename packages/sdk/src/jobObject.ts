import { InvalidSpecError, uidProblems, type ObjectMeta } from '@drover/shared';

/** Names of pods and of QueueJobs are made from it: one that is no UUID would break later, elsewhere. */
export function refuseBadUid(
  uid: string,
  kind: string,
  { name, generateName = '' }: ObjectMeta,
): void {
  const problems = uidProblems(uid);
  if (problems.length === 0) return;
  const issues = problems.map(
    (detail) => ({ path: 'metadata.uid', kind: 'Invalid', value: uid, detail }) as const,
  );
  throw new InvalidSpecError(kind, name || generateName, issues);
}
