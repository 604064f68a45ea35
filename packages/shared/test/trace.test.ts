import { describe, expect, test } from 'vitest';

import { formatTraceParent, parseTraceParent } from '../src/trace.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

describe('traceparent', () => {
  test('is read as it is written', () => {
    const text = `00-${TRACE}-${SPAN}-01`;
    expect(parseTraceParent(text)).toEqual({ traceId: TRACE, spanId: SPAN, traceFlags: 1 });
    expect(formatTraceParent(parseTraceParent(text)!)).toBe(text);
  });

  test('of a later version is read as far as it is known', () => {
    expect(parseTraceParent(`01-${TRACE}-${SPAN}-00-more`)).toMatchObject({ traceFlags: 0 });
  });

  const cases = [
    { name: 'none', text: undefined },
    { name: 'an impossible version', text: `ff-${TRACE}-${SPAN}-01` },
    { name: 'no trace', text: `00-${'0'.repeat(32)}-${SPAN}-01` },
    { name: 'no span', text: `00-${TRACE}-${'0'.repeat(16)}-01` },
    { name: 'capital letters', text: `00-${TRACE.toUpperCase()}-${SPAN}-01` },
    { name: 'something else', text: 'hello' },
  ];

  test.each(cases)('$name is as if there were none', ({ text }) => {
    expect(parseTraceParent(text)).toBeNull();
  });
});
