import type { FastifyInstance } from 'fastify';

import type { Resource } from '../api/resource.ts';
import { isJson, parseAccept } from '../http/accept.ts';
import { groupPath, type Subresource } from '../http/routes.ts';
import {
  aggregatedDiscovery,
  apiGroup,
  groupVersionsOf,
  resourceList,
  type GroupVersion,
} from './discovery.ts';
import { addFixed, fixedAnswer, sendFixed } from './fixedAnswer.ts';

const AGGREGATED_TYPE = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** Adds the paths that say what there is. */
export function addDiscovery(
  server: FastifyInstance,
  resources: readonly Resource[],
  subresources: readonly Subresource[],
): void {
  const all = [...groupVersionsOf(resources), ...groupsOfParts(resources, subresources)];
  const core = all.filter(({ group }) => group === '');
  const groups = all.filter(({ group }) => group !== '');
  const legacy = {
    kind: 'APIVersions',
    versions: core.map(({ version }) => version),
    serverAddressByClientCIDRs: [],
  };
  const list = { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(apiGroup) };
  addDiscoveryPath(server, '/api', legacy, aggregatedDiscovery(core, subresources));
  addDiscoveryPath(server, '/apis', list, aggregatedDiscovery(groups, subresources));
  for (const groupVersion of all) addGroup(server, groupVersion, subresources);
}

/** Groups that have no resources: kubectl looks for them before it sends something of them to a part. */
function groupsOfParts(
  resources: readonly Resource[],
  subresources: readonly Subresource[],
): GroupVersion[] {
  const known = new Set(resources.map(({ group }) => group));
  return subresources
    .flatMap(({ kind }) => (kind === undefined || known.has(kind.group) ? [] : [kind]))
    .map(({ group, version }) => ({ group, version, resources: [] }));
}

function addGroup(
  server: FastifyInstance,
  groupVersion: GroupVersion,
  subresources: readonly Subresource[],
): void {
  addFixed(server, groupPath(groupVersion), resourceList(groupVersion, subresources));
  if (groupVersion.group === '') return;
  const group = { kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(groupVersion) };
  addFixed(server, `/apis/${groupVersion.group}`, group);
}

/** A path whose answer has two forms: of old, and aggregated. */
function addDiscoveryPath(
  server: FastifyInstance,
  path: string,
  plain: object,
  aggregated: object,
): void {
  const forms = {
    plain: fixedAnswer('application/json', plain),
    aggregated: fixedAnswer(AGGREGATED_TYPE, aggregated),
  };
  server.get(path, async (request, reply) => {
    const wanted = parseAccept(request.headers.accept).find(
      (range) => isJson(range) && (isAggregated(range.parameters) || !range.parameters.has('as')),
    );
    const form = wanted !== undefined && isAggregated(wanted.parameters) ? 'aggregated' : 'plain';
    return sendFixed(request, reply, forms[form]);
  });
}

function isAggregated(parameters: ReadonlyMap<string, string>): boolean {
  return (
    parameters.get('g') === 'apidiscovery.k8s.io' &&
    parameters.get('v') === 'v2' &&
    parameters.get('as') === 'APIGroupDiscoveryList'
  );
}
