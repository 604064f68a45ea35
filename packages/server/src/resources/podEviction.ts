import type { Resource } from '../api/resource.ts';
import { readObject } from '../http/bodies.ts';
import { isJsonObject, textOf } from '../api/object.ts';
import type { Subresource } from '../http/routes.ts';
import { isDryRun, params } from '../http/query.ts';
import { badRequest } from '../http/status.ts';

/** Asks a pod to go, as `kubectl drain` does: `pods/NAME/eviction`. Its Job makes another one. */
export function podEviction(pods: Resource): Subresource {
  return {
    resource: pods,
    name: 'eviction',
    handlers: {
      POST: async (context) => {
        const body = readObject(context.body);
        const kind = body['kind'] ?? 'Eviction';
        if (kind !== 'Eviction')
          throw badRequest(`${textOf(kind)} cannot be handled as a Eviction`);
        const given = isJsonObject(body['deleteOptions']) ? body['deleteOptions'] : {};
        const dryRun = Array.isArray(given['dryRun']) ? given['dryRun'].map(String) : [];
        await pods.delete?.(context.name, {
          namespace: context.namespace ?? '',
          user: context.user,
          dryRun: isDryRun([...dryRun, ...params(context.query, 'dryRun')], 'Eviction'),
          onWarning: context.warn,
          propagationPolicy: null,
          gracePeriodSeconds: null,
          uid: null,
          resourceVersion: null,
        });
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
