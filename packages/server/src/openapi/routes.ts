import { createHash } from 'node:crypto';

import type { FastifyInstance } from 'fastify';

import type { Resource } from '../api/resource.ts';
import { addFixed } from '../discovery/fixedAnswer.ts';
import { groupVersionsOf } from '../discovery/discovery.ts';
import { groupPath } from '../http/routes.ts';
import { makeDocument } from './documents.ts';

/** Adds the paths of the OpenAPI documents, one for each version of a group. */
export function addOpenApi(
  server: FastifyInstance,
  resources: readonly Resource[],
  version: string,
): void {
  const paths: Record<string, { readonly serverRelativeURL: string }> = {};
  for (const groupVersion of groupVersionsOf(resources)) {
    const name = groupPath(groupVersion).slice(1);
    const path = `/openapi/v3/${name}`;
    const document = makeDocument(groupVersion, version);
    // Clients keep a document as long as its address is the same.
    const hash = createHash('sha256').update(JSON.stringify(document)).digest('hex').toUpperCase();
    addFixed(server, path, document);
    paths[name] = { serverRelativeURL: `${path}?hash=${hash}` };
  }
  addFixed(server, '/openapi/v3', { paths });
}
