/**
 * Parts of `batch/v1` whose behaviour comes with a later version. Their types, defaults and rules
 * are already here: turning one on is a change of this table alone.
 */
export type Feature =
  | 'backoffLimitPerIndex'
  | 'podFailurePolicy'
  | 'successPolicy'
  | 'podReplacementPolicyFailed'
  | 'managedBy';

/** Which of them this version has. */
export const SUPPORTED: Readonly<Record<Feature, boolean>> = {
  backoffLimitPerIndex: true,
  podFailurePolicy: true,
  successPolicy: true,
  podReplacementPolicyFailed: true,
  managedBy: true,
};

/** The detail of a refusal that a later version will not make. */
export function notYet(what: string): string {
  return `not supported by this version of Drover yet: ${what}`;
}
