import { hostProblem, UnsuitableHostError } from '@drover/shared';

/**
 * What every way into Drover asks first: a Node that is too old fails otherwise with a function
 * that it does not have, and Windows with the first signal that it does not know.
 *
 * @throws UnsuitableHostError on Windows and where Node is too old.
 */
export function checkHost(): void {
  const problem = hostProblem(process.platform, process.versions.node);
  if (problem !== null) throw new UnsuitableHostError(problem);
}
