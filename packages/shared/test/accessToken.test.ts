import { describe, expect, test } from 'vitest';
import { ADMIN_NAME, InvalidSpecError, parseAccessTokens } from '../src/index.ts';

const good = { name: 'ci', hash: `sha256:${'0'.repeat(64)}`, roles: ['edit:team-a', 'view'] };

describe('tokens in a file', () => {
  test('are read', () => {
    expect(parseAccessTokens({ tokens: [good] }, 'tokens.yaml')).toEqual([good]);
    expect(parseAccessTokens(null, 'tokens.yaml')).toEqual([]);
  });

  test('everything that is wrong with them is told', () => {
    const tokens = [
      { ...good, name: ADMIN_NAME },
      { ...good, hash: 'sha256:0' },
      { ...good, roles: [], expires: 'soon' },
      { ...good, name: 'A b', roles: ['root'] },
    ];
    const read = () => parseAccessTokens({ tokens }, 'tokens.yaml');
    expect(read).toThrow(InvalidSpecError);
    const problems = [
      'tokens[0].name: Invalid value: "drover-admin": is the name of the holder of the server\'s own token',
      'tokens[1].hash: Invalid value',
      'tokens[2].name: Duplicate value: "ci"',
      'tokens[2].roles: Required value',
      'tokens[2].expires: Invalid value: "soon"',
      'tokens[3].name: Invalid value: "A b"',
      'tokens[3].roles[0]: Unsupported value: "root"',
    ];
    for (const problem of problems) expect(read).toThrow(problem);
  });
});
