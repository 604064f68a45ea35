import { describe, expect, test } from 'vitest';

import { forbidden, isAllowed, rulesOf, type AccessAttributes } from '../../src/access/rules.ts';
import { userOf, type User } from '../../src/access/user.ts';

function user(...roles: string[]): User {
  return userOf({ name: 'ci', hash: '', roles });
}

function attributes(text: string, namespace = 'team-a'): AccessAttributes {
  const [verb = '', resource = '', name = ''] = text.split(' ');
  const [plural = '', subresource = ''] = resource.split('/');
  const group = plural === 'jobs' ? 'batch' : '';
  return { verb, group, resource: plural, subresource, namespace, name };
}

const VIEW = user('view:team-a');
const EDIT = user('edit:team-a');
const ADMIN = user('admin:team-a');

describe('who may do what', () => {
  const cases: {
    asked: string;
    namespace?: string;
    view: boolean;
    edit: boolean;
    admin: boolean;
  }[] = [
    { asked: 'list jobs', view: true, edit: true, admin: true },
    { asked: 'get pods/log p', view: true, edit: true, admin: true },
    { asked: 'list jobs', namespace: 'team-b', view: false, edit: false, admin: false },
    { asked: 'list jobs', namespace: '', view: false, edit: false, admin: false },
    { asked: 'create jobs', view: false, edit: true, admin: true },
    { asked: 'deletecollection jobs', view: false, edit: true, admin: true },
    { asked: 'create pods/eviction p', view: false, edit: true, admin: true },
    { asked: 'get secrets s', view: false, edit: true, admin: true },
    { asked: 'list nodes', namespace: '', view: false, edit: false, admin: false },
    { asked: 'patch nodes n', namespace: '', view: false, edit: false, admin: false },
    { asked: 'get namespaces team-a', namespace: '', view: true, edit: true, admin: true },
    { asked: 'delete namespaces team-a', namespace: '', view: false, edit: false, admin: true },
    { asked: 'get namespaces team-b', namespace: '', view: false, edit: false, admin: false },
    { asked: 'create namespaces team-a', namespace: '', view: false, edit: false, admin: false },
    { asked: '* *', view: false, edit: false, admin: true },
    { asked: 'list *', view: false, edit: true, admin: true },
    { asked: 'escalate jobs', view: false, edit: false, admin: true },
  ];

  test.each(cases)('$asked in "$namespace"', ({ asked, namespace, ...want }) => {
    const about = attributes(asked, namespace);
    expect({
      view: isAllowed(VIEW, about),
      edit: isAllowed(EDIT, about),
      admin: isAllowed(ADMIN, about),
    }).toEqual(want);
  });

  test('a role without a namespace holds everywhere, and several roles add up', () => {
    const both = user('view', 'edit:team-a');
    expect(isAllowed(both, attributes('list nodes', ''))).toBe(true);
    expect(isAllowed(both, attributes('list secrets', 'team-b'))).toBe(false);
    expect(isAllowed(both, attributes('list secrets', 'team-a'))).toBe(true);
    expect(isAllowed(user('edit'), attributes('patch nodes n', ''))).toBe(false);
    expect(isAllowed(user('admin'), attributes('create namespaces', ''))).toBe(true);
  });

  test('everybody may ask about themselves', () => {
    const group = 'authorization.k8s.io';
    const asked = { ...attributes('create selfsubjectaccessreviews', ''), group };
    expect(isAllowed(VIEW, asked)).toBe(true);
    expect(rulesOf(VIEW, 'team-b')).toHaveLength(1);
    expect(rulesOf(ADMIN, 'team-a')).toContainEqual({
      verbs: ['*'],
      apiGroups: ['*'],
      resources: ['*'],
    });
  });
});

test('what is refused is told in the words of Kubernetes', () => {
  expect(forbidden(VIEW, attributes('create jobs')).message).toBe(
    'jobs.batch is forbidden: User "ci" cannot create resource "jobs" in API group "batch" in the namespace "team-a"',
  );
  expect(forbidden(VIEW, attributes('get pods/log p', '')).message).toBe(
    'pods "p" is forbidden: User "ci" cannot get resource "pods/log" in API group "" at the cluster scope',
  );
});
