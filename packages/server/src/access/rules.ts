/** Who may do what: decided from a user's roles alone. */

import type { AccessGrant, AccessRole } from '@drover/shared';

import { ApiError } from '../http/status.ts';
import type { User } from './user.ts';

/** What is to be done, in the words of Kubernetes' access reviews. */
export interface AccessAttributes {
  /** `get`, `create` ...; `*` = all of them. */
  readonly verb: string;
  readonly group: string;
  /** Plural; `*` = all of them. */
  readonly resource: string;
  /** Empty = the object itself. */
  readonly subresource: string;
  /** Empty = all namespaces, or none. */
  readonly namespace: string;
  /** Empty = not one of them in particular. */
  readonly name: string;
}

/** What a role lets one do, as `kubectl auth can-i --list` shows it. */
export interface ResourceRule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
}

const RANK: Readonly<Record<AccessRole, number>> = { view: 1, edit: 2, admin: 3 };
const READ_VERBS: readonly string[] = ['get', 'list', 'watch'];
const WRITE_VERBS: readonly string[] = ['create', 'delete', 'deletecollection', 'patch', 'update'];
/** What is in no namespace: changed by those only who may do everything. */
const CLUSTER_RESOURCES: ReadonlySet<string> = new Set(['namespaces', 'nodes', '*']);
/** Questions about oneself. */
const SELF_GROUPS: ReadonlySet<string> = new Set(['authorization.k8s.io', 'authentication.k8s.io']);

/** Whether a user may do it. */
export function isAllowed({ grants }: User, attributes: AccessAttributes): boolean {
  const { verb, group, resource, name } = attributes;
  if (verb === 'create' && SELF_GROUPS.has(group) && resource.startsWith('selfsubject'))
    return true;
  // A namespace counts as being in itself.
  const isNamespace = group === '' && resource === 'namespaces' && verb !== 'create';
  const namespace = isNamespace ? name : attributes.namespace;
  const needed = RANK[roleFor(attributes)];
  return grants.some((grant) => holdsIn(grant, namespace) && RANK[grant.role] >= needed);
}

function holdsIn({ namespace }: AccessGrant, wanted: string): boolean {
  return namespace === null || (wanted !== '' && namespace === wanted);
}

function roleFor({ verb, group, resource }: AccessAttributes): AccessRole {
  const isCore = group === '' || group === '*';
  if (READ_VERBS.includes(verb)) {
    return isCore && (resource === 'secrets' || resource === '*') ? 'edit' : 'view';
  }
  if (!WRITE_VERBS.includes(verb)) return 'admin';
  return isCore && CLUSTER_RESOURCES.has(resource) ? 'admin' : 'edit';
}

/** What a user may do in a namespace. */
export function rulesOf({ grants }: User, namespace: string): readonly ResourceRule[] {
  const ranks = grants.filter((grant) => holdsIn(grant, namespace)).map(({ role }) => RANK[role]);
  const rank = Math.max(0, ...ranks);
  const rules: ResourceRule[] = [
    {
      verbs: ['create'],
      apiGroups: [...SELF_GROUPS],
      resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews', 'selfsubjectreviews'],
    },
  ];
  if (rank >= RANK.admin) rules.push({ verbs: ['*'], apiGroups: ['*'], resources: ['*'] });
  else if (rank > 0) {
    const resources = [...NAMESPACED_RESOURCES, ...(rank >= RANK.edit ? ['secrets'] : [])];
    const verbs = rank >= RANK.edit ? [...READ_VERBS, ...WRITE_VERBS] : READ_VERBS;
    rules.push({ verbs, apiGroups: ['', 'batch', 'drover.dev', 'events.k8s.io'], resources });
    rules.push({ verbs: ['get'], apiGroups: [''], resources: ['namespaces'] });
  }
  return rules;
}

/** Everything in a namespace but Secrets. */
const NAMESPACED_RESOURCES = [
  'configmaps',
  'cronjobs',
  'events',
  'jobs',
  'pods',
  'pods/log',
  'resourcequotas',
  'serviceaccounts',
  'workqueues',
];

/** Refuses what a user may not do, in Kubernetes' words. */
export function forbidden(user: User, attributes: AccessAttributes): ApiError {
  const { verb, group, resource, subresource, namespace, name } = attributes;
  const qualified = group === '' ? resource : `${resource}.${group}`;
  const object = name === '' ? qualified : `${qualified} "${name}"`;
  const what = subresource === '' ? resource : `${resource}/${subresource}`;
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const message = `${object} is forbidden: User "${user.name}" cannot ${verb} resource "${what}" in API group "${group}" ${where}`;
  return new ApiError(403, 'Forbidden', message, { name, group, kind: resource });
}
