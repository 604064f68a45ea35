import * as z from 'zod';

import { ObjectMeta } from './meta.ts';
import type { ObjectKind } from './objectKind.ts';

/** A name that pods may run under in Kubernetes. Kept and shown, without meaning here. */
export const ServiceAccount = z.strictObject({
  /** `v1`. */
  apiVersion: z.literal('v1').default('v1'),
  /** `ServiceAccount`. */
  kind: z.literal('ServiceAccount').default('ServiceAccount'),
  /** Name, labels and the like. */
  metadata: ObjectMeta.prefault({}),
  /** Secrets that its pods may use. */
  secrets: z.array(z.looseObject({})).optional(),
  /** Secrets with passwords of image registries. */
  imagePullSecrets: z.array(z.looseObject({})).optional(),
  /** Whether its pods get a token. */
  automountServiceAccountToken: z.boolean().optional(),
});
/** A name that pods may run under in Kubernetes. */
export type ServiceAccount = z.output<typeof ServiceAccount>;

/** ServiceAccounts as a kind. */
export const SERVICE_ACCOUNT_KIND: ObjectKind<ServiceAccount> = {
  kind: 'ServiceAccount',
  apiVersion: 'v1',
  resource: 'serviceaccounts',
  schema: ServiceAccount,
  issues: () => [],
  changeIssues: () => [],
  hidden: [],
};
