import * as z from 'zod';

import { ObjectMeta } from './meta.ts';
import type { ObjectKind } from './objectKind.ts';

/** A namespace that somebody asked for. One that is in use needs no such object. */
export const Namespace = z.strictObject({
  /** `v1`. */
  apiVersion: z.literal('v1').default('v1'),
  /** `Namespace`. */
  kind: z.literal('Namespace').default('Namespace'),
  /** Name, labels and the like. */
  metadata: ObjectMeta.prefault({}),
  /** What Kubernetes keeps in it; without meaning here. */
  spec: z
    .strictObject({
      /** Who must agree before it goes. */
      finalizers: z.array(z.string()).optional(),
    })
    .prefault({}),
  /** How it is. Set by the server. */
  status: z.unknown().optional(),
});
/** A namespace that somebody asked for. */
export type Namespace = z.output<typeof Namespace>;

/** Namespaces as a kind. Each is kept as an object in the namespace of its own name. */
export const NAMESPACE_KIND: ObjectKind<Namespace> = {
  kind: 'Namespace',
  apiVersion: 'v1',
  resource: 'namespaces',
  schema: Namespace,
  issues: () => [],
  changeIssues: () => [],
  hidden: [],
};
