import type { Resource } from '../api/resource.ts';
import { readObject } from '../http/bodies.ts';
import { isJsonObject, textOf } from '../api/object.ts';
import type { Subresource } from '../http/routes.ts';
import { badRequest } from '../http/status.ts';
import { deleteOptions } from '../http/verbs/delete.ts';

/** Asks a pod to go, as `kubectl drain` does: `pods/NAME/eviction`. Its Job makes another one. */
export function podEviction(pods: Resource): Subresource {
  return {
    resource: pods,
    name: 'eviction',
    // By that kubectl finds out that it can evict.
    kind: { group: 'policy', version: 'v1', kind: 'Eviction' },
    handlers: {
      POST: async (context) => {
        const body = readObject(context.body);
        const kind = body['kind'] ?? 'Eviction';
        if (kind !== 'Eviction')
          throw badRequest(`${textOf(kind)} cannot be handled as a Eviction`);
        const { metadata, deleteOptions: given } = body;
        const { name, namespace } = isJsonObject(metadata) ? metadata : {};
        if ((name ?? context.name) !== context.name) {
          throw badRequest('name in URL does not match name in Eviction object');
        }
        if ((namespace ?? context.namespace) !== context.namespace) {
          throw badRequest('namespace in URL does not match namespace in Eviction object');
        }
        const options = deleteOptions(isJsonObject(given) ? given : {}, context);
        await pods.delete?.(context.name, options);
        const status = {
          kind: 'Status',
          apiVersion: 'v1',
          metadata: {},
          status: 'Success',
          code: 201,
        };
        await context.send(201, status);
      },
    },
  };
}
