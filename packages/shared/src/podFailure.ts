import { COMPLETION_INDEX_LABEL } from './generated.ts';
import type { ContainerStateTerminated, Pod } from './pod.ts';

/** Why a pod failed, in a line: `pod work-3-x7k2p (index 3) failed: exit code 2`. */
export function failureNote(pod: Pod): string {
  const index = pod.metadata.labels?.[COMPLETION_INDEX_LABEL];
  const which = index === undefined ? '' : ` (index ${index})`;
  return `pod ${pod.metadata.name}${which} failed: ${failureText(pod)}`;
}

/** Why a pod failed, in a few words: `exit code 2`; of several containers `bad: exit code 2`. */
export function failureText({ status }: Pick<Pod, 'status'>): string {
  if (status.message !== undefined) return status.message;
  const { containerStatuses = [], initContainerStatuses = [] } = status;
  // The containers first: a sidecar among the initContainers ends by a signal when all is well, too.
  const all = [...containerStatuses, ...initContainerStatuses];
  const culprit = all.find(({ state }) => (state?.terminated?.exitCode ?? 0) !== 0) ?? all[0];
  const terminated = culprit?.state?.terminated;
  if (culprit === undefined || terminated === undefined) {
    return status.reason ?? 'for an unknown reason';
  }
  const text = endText(terminated);
  return all.length === 1 ? text : `${culprit.name}: ${text}`;
}

function endText({ reason, message, exitCode }: ContainerStateTerminated): string {
  if (message !== undefined && message !== '') return message.split('\n')[0] ?? message;
  return reason === undefined || reason === 'Error' ? `exit code ${exitCode}` : reason;
}

/** Whether a pod has ended. */
export function podHasEnded({ status }: Pod): boolean {
  return status.phase === 'Succeeded' || status.phase === 'Failed';
}
