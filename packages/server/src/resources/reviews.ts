/** Questions that clients ask about themselves: nothing of them is stored. */

import { isAllowed, rulesOf } from '../access/rules.ts';
import { isJsonObject, valueAt, type ApiObject } from '../api/object.ts';
import type { Resource } from '../api/resource.ts';
import { NAME_COLUMN } from '../api/table.ts';
import { badRequest, invalid } from '../http/status.ts';
import { field, kindField } from '../openapi/fields.ts';

const OBJECT_METADATA = { name: '', namespace: '', uid: '' };
const SPEC = field('spec', 'any', 'What is asked.');
const STATUS = field('status', 'any', 'The answer.');

/** What all kinds of questions have in common. */
const REVIEW = {
  version: 'v1',
  isNamespaced: false,
  shortNames: [],
  categories: [],
  table: { columns: [NAME_COLUMN] },
  fields: {},
  hasStatus: false,
} as const;

/** `kubectl auth can-i`: whether the one who asks may do something. */
export const selfSubjectAccessReviews: Resource = {
  ...REVIEW,
  group: 'authorization.k8s.io',
  plural: 'selfsubjectaccessreviews',
  singular: 'selfsubjectaccessreview',
  kind: 'SelfSubjectAccessReview',
  explained: kindField('SelfSubjectAccessReview', 'Whether you may do something.', [SPEC, STATUS]),
  create: async (input, { user }) => {
    const spec = valueAt(input, ['spec']);
    const asked = isJsonObject(spec) ? spec : {};
    const resource = asked['resourceAttributes'];
    const path = asked['nonResourceAttributes'];
    if (isJsonObject(resource) === isJsonObject(path)) {
      const detail = 'exactly one of nonResourceAttributes or resourceAttributes must be specified';
      throw invalid('SelfSubjectAccessReview', 'authorization.k8s.io', '', [
        { path: 'spec.resourceAttributes', kind: 'Invalid', value: resource ?? null, detail },
      ]);
    }
    const text = (name: string): string => {
      const value = isJsonObject(resource) ? resource[name] : '';
      return typeof value === 'string' ? value : '';
    };
    // Paths that are no objects say what there is: everybody with a token may read them.
    const allowed = isJsonObject(resource)
      ? isAllowed(user, {
          verb: text('verb'),
          group: text('group'),
          resource: text('resource'),
          subresource: text('subresource'),
          namespace: text('namespace'),
          name: text('name'),
        })
      : valueAt(path, ['verb']) === 'get';
    return answer('authorization.k8s.io/v1', 'SelfSubjectAccessReview', {
      spec: asked,
      status: { allowed, ...(allowed ? {} : { reason: 'no role of the token allows it' }) },
    });
  },
};

/** `kubectl auth can-i --list`: all that the one who asks may do in a namespace. */
export const selfSubjectRulesReviews: Resource = {
  ...REVIEW,
  group: 'authorization.k8s.io',
  plural: 'selfsubjectrulesreviews',
  singular: 'selfsubjectrulesreview',
  kind: 'SelfSubjectRulesReview',
  explained: kindField('SelfSubjectRulesReview', 'What you may do.', [SPEC, STATUS]),
  create: async (input, { user }) => {
    const namespace = valueAt(input, ['spec', 'namespace']);
    if (typeof namespace !== 'string' || namespace === '') {
      throw badRequest('no namespace on request');
    }
    const nonResourceRules = [{ verbs: ['get'], nonResourceURLs: ['*'] }];
    const resourceRules = rulesOf(user, namespace);
    return answer('authorization.k8s.io/v1', 'SelfSubjectRulesReview', {
      spec: { namespace },
      status: { resourceRules, nonResourceRules, incomplete: false },
    });
  },
};

/** `kubectl auth whoami`: who the one who asks is. */
export const selfSubjectReviews: Resource = {
  ...REVIEW,
  group: 'authentication.k8s.io',
  plural: 'selfsubjectreviews',
  singular: 'selfsubjectreview',
  kind: 'SelfSubjectReview',
  explained: kindField('SelfSubjectReview', 'Who you are.', [STATUS]),
  create: async (_input, { user }) => {
    const userInfo = { username: user.name, groups: user.groups };
    return answer('authentication.k8s.io/v1', 'SelfSubjectReview', { status: { userInfo } });
  },
};

function answer(apiVersion: string, kind: string, content: object): ApiObject {
  return { apiVersion, kind, metadata: OBJECT_METADATA, ...content };
}
