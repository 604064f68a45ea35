/** How objects are deleted with what belongs to them. */

/**
 * What becomes of the objects that belong to a deleted one.
 *
 * - Background: it is gone at once, and they are deleted after it.
 * - Foreground: it stays until those that block its deletion are gone, its pods among them.
 * - Orphan: they stay and belong to it no more.
 */
export const PROPAGATION_POLICIES = ['Background', 'Foreground', 'Orphan'] as const;
/** One of {@link PROPAGATION_POLICIES}. */
export type PropagationPolicy = (typeof PROPAGATION_POLICIES)[number];

/** Finalizer of an object that is being deleted in Foreground. */
export const FOREGROUND_FINALIZER = 'foregroundDeletion';
/** Finalizer of an object that is being deleted with the policy Orphan. */
export const ORPHAN_FINALIZER = 'orphan';
