/** Questions that clients ask about themselves: nothing of them is stored. */

import { isJsonObject, valueAt, type ApiObject } from '../api/object.ts';
import type { Resource } from '../api/resource.ts';
import { NAME_COLUMN } from '../api/table.ts';
import { ADMIN } from '../http/auth.ts';
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
  create: async (input) => {
    const spec = valueAt(input, ['spec']);
    // There is one token, and who has it may do everything.
    const status = { allowed: true, reason: 'the token of this server allows everything' };
    return answer('authorization.k8s.io/v1', 'SelfSubjectAccessReview', {
      spec: isJsonObject(spec) ? spec : {},
      status,
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
  create: async () => {
    const userInfo = { username: ADMIN.name, groups: ADMIN.groups };
    return answer('authentication.k8s.io/v1', 'SelfSubjectReview', { status: { userInfo } });
  },
};

function answer(apiVersion: string, kind: string, content: object): ApiObject {
  return { apiVersion, kind, metadata: OBJECT_METADATA, ...content };
}
