import { ADMIN_NAME, parseAccessGrant, type AccessGrant, type AccessToken } from '@drover/shared';

/** Who sent a request, and what they may do. */
export interface User {
  readonly name: string;
  readonly groups: readonly string[];
  readonly grants: readonly AccessGrant[];
}

const AUTHENTICATED = 'system:authenticated';

/** The holder of the server's own token. */
export const ADMIN: User = {
  name: ADMIN_NAME,
  groups: ['system:masters', AUTHENTICATED],
  grants: [{ role: 'admin', namespace: null }],
};

/** The holder of a token. */
export function userOf({ name, roles }: AccessToken): User {
  const grants = roles.map(parseAccessGrant).filter((grant) => grant !== null);
  return { name, groups: ['drover:tokens', AUTHENTICATED], grants };
}
