import { createHash } from 'node:crypto';

import type { FastifyInstance } from 'fastify';

import type { Resource } from '../api/resource.ts';
import { addFixed, fixedAnswer, fixedBytes, sendFixed } from '../discovery/fixedAnswer.ts';
import { groupVersionsOf } from '../discovery/discovery.ts';
import { groupPath } from '../http/routes.ts';
import { parseAccept } from '../http/accept.ts';
import { makeDocument } from './documents.ts';
import { makeV2Document } from './v2.ts';
import { encodeV2 } from './v2Protobuf.ts';

/** The form in which kubectl wants the document of v2. */
const V2_PROTOBUF = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';

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
  addV2(server, resources, version);
}

/** The document of v2, in the two forms that clients ask for. */
function addV2(server: FastifyInstance, resources: readonly Resource[], version: string): void {
  const document = makeV2Document(groupVersionsOf(resources), version);
  const json = fixedAnswer('application/json', document);
  const protobuf = fixedBytes(V2_PROTOBUF.replace('@', '.'), Buffer.from(encodeV2(document)));
  server.get('/openapi/v2', async (request, reply) => {
    const [first] = parseAccept(request.headers.accept);
    return sendFixed(request, reply, first?.type === V2_PROTOBUF ? protobuf : json);
  });
}
