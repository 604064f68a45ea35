import { describe, expect, test } from 'vitest';
import { readValue } from '../../src/http/bodies.ts';

const read = (text: string) =>
  readValue({ contentType: undefined, bytes: Buffer.from(text) }, 'application/apply-patch+yaml');

describe('a body of YAML', () => {
  test('may be JSON, and YAML of one line that looks like it', () => {
    const wanted = { kind: 'Job', metadata: { name: 'pi' } };
    expect(read(JSON.stringify(wanted))).toEqual(wanted);
    expect(read('{kind: Job, metadata: {name: pi}}')).toEqual(wanted);
    expect(read('kind: Job\nmetadata: { name: pi }\n')).toEqual(wanted);
    expect(() => read('{kind: Job')).toThrow('the body of the request can not be read');
  });
});
