/** What there is: groups, their versions, and the resources in them with what can be done to each. */

import type { Resource } from '../api/resource.ts';
import { groupVersionText } from '../api/object.ts';
import type { Subresource } from '../http/routes.ts';

/** What a resource's methods let clients do. */
export function verbsOf(resource: Resource): string[] {
  const verbs: string[] = [];
  if (resource.get !== undefined) verbs.push('get');
  if (resource.list !== undefined) verbs.push('list');
  if (resource.watch !== undefined) verbs.push('watch');
  if (resource.create !== undefined) verbs.push('create');
  if (resource.update !== undefined) verbs.push('update', 'patch');
  if (resource.delete !== undefined) verbs.push('delete', 'deletecollection');
  return verbs.toSorted();
}

const VERBS_OF_METHODS = {
  GET: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

function subresourceVerbs({ handlers }: Subresource): string[] {
  const verbs = Object.keys(handlers).map((method) => VERBS_OF_METHODS[method as 'GET']);
  return verbs.toSorted();
}

/** A version of a group, with its resources. */
export interface GroupVersion {
  readonly group: string;
  readonly version: string;
  readonly resources: readonly Resource[];
}

/** The groups in the order in which they are shown: the core first. */
export function groupVersionsOf(resources: readonly Resource[]): GroupVersion[] {
  const found = new Map<string, Resource[]>();
  for (const resource of resources) {
    const key = groupVersionText(resource);
    found.set(key, [...(found.get(key) ?? []), resource]);
  }
  return [...found.values()]
    .map((members) => ({
      group: members[0]?.group ?? '',
      version: members[0]?.version ?? '',
      resources: members,
    }))
    .toSorted((a, b) => (a.group < b.group ? -1 : 1));
}

/** A part of a resource, as discovery tells of it. */
interface Part {
  readonly name: string;
  readonly verbs: string[];
  readonly kind?: Subresource['kind'];
}

/** The parts of a resource that have a path of their own, with their verbs. */
function partsOf(resource: Resource, subresources: readonly Subresource[]): Part[] {
  const parts = subresources
    .filter((part) => part.resource === resource && part.isHidden !== true)
    .map((part) => ({ name: part.name, verbs: subresourceVerbs(part), kind: part.kind }));
  const verbs = resource.update === undefined ? ['get'] : ['get', 'patch', 'update'];
  return resource.hasStatus ? [...parts, { name: 'status', verbs }] : parts;
}

/** `APIResourceList` of a version of a group. */
export function resourceList(
  { group, version, resources }: GroupVersion,
  subresources: readonly Subresource[],
): object {
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: groupVersionText({ group, version }),
    resources: resources.flatMap((resource) => [
      {
        name: resource.plural,
        singularName: resource.singular,
        namespaced: resource.isNamespaced,
        kind: resource.kind,
        verbs: verbsOf(resource),
        ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
        ...(resource.categories.length === 0 ? {} : { categories: resource.categories }),
      },
      ...partsOf(resource, subresources).map(({ name, verbs, kind }) => ({
        name: `${resource.plural}/${name}`,
        singularName: '',
        namespaced: resource.isNamespaced,
        ...(kind ?? { kind: resource.kind }),
        verbs,
      })),
    ]),
  };
}

/** `APIGroupDiscoveryList`: all of it in one answer, as newer clients ask for it. */
export function aggregatedDiscovery(
  groupVersions: readonly GroupVersion[],
  subresources: readonly Subresource[],
): object {
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: groupVersions.map(({ group, version, resources }) => ({
      metadata: { name: group, creationTimestamp: null },
      versions: [
        {
          version,
          freshness: 'Current',
          resources: resources.map((resource) => aggregatedResource(resource, subresources)),
        },
      ],
    })),
  };
}

function aggregatedResource(resource: Resource, subresources: readonly Subresource[]): object {
  const { group, version, kind } = resource;
  const responseKind = { group, version, kind };
  return {
    resource: resource.plural,
    responseKind,
    scope: resource.isNamespaced ? 'Namespaced' : 'Cluster',
    singularResource: resource.singular,
    verbs: verbsOf(resource),
    shortNames: resource.shortNames,
    categories: resource.categories,
    subresources: partsOf(resource, subresources).map(({ name, verbs, kind: own }) => ({
      subresource: name,
      responseKind: own ?? responseKind,
      verbs,
    })),
  };
}

/** An entry of `APIGroupList`. */
export function apiGroup({ group, version }: GroupVersion): object {
  const only = { groupVersion: groupVersionText({ group, version }), version };
  return { name: group, versions: [only], preferredVersion: only };
}
