/** Message of a pod that was active for too long, in kubelet's words. */
export const DEADLINE_MESSAGE = 'Pod was active on the node longer than the specified deadline';
