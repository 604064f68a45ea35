import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeStart,
  encodeFrame,
  encodeStart,
  FrameReader,
  FrameType,
  type Frame,
} from '../../src/process/frames.ts';

const text = fc.string({ unit: 'binary' }).map((value) => value.replaceAll('\0', ''));

describe('frames', () => {
  test('whatever the pieces a stream arrives in, the frames are those that were sent', () => {
    const frame = fc.record({
      type: fc.integer({ min: 0, max: 255 }),
      id: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      fields: fc.array(text, { minLength: 2 }),
    });
    fc.assert(
      fc.property(fc.array(frame), fc.array(fc.integer({ min: 1, max: 40 })), (sent, cuts) => {
        const stream = Buffer.concat(
          sent.map(({ type, id, fields }) => encodeFrame(type, id, fields)),
        );
        const reader = new FrameReader();
        const received: Frame[] = [];
        let from = 0;
        for (const size of [...cuts, stream.length]) {
          received.push(...reader.push(stream.subarray(from, from + size)));
          from += size;
        }
        expect(received).toEqual(sent);
      }),
    );
  });

  test('a start request survives the way', () => {
    const request = {
      workingDir: '/tmp',
      stdoutPath: '/a',
      stderrPath: '/b',
      argv: ['sh', '-c', '', 'ä=b\n'],
      env: { A: '', B: 'x=y', __proto__x: '1' },
    };
    const [frame] = new FrameReader().push(encodeStart(7, request));
    expect(frame).toMatchObject({ type: FrameType.start, id: 7 });
    const decoded = decodeStart(frame?.fields ?? []);
    expect({ ...decoded, env: { ...decoded.env } }).toEqual(request);
  });

  test('NUL is refused', () => {
    expect(() => encodeFrame(1, 1, ['a\0b'])).toThrow(RangeError);
  });

  test('what is not a frame is refused, not waited for', () => {
    const garbage = Buffer.from('hello, this is not a frame');
    expect(() => new FrameReader().push(garbage)).toThrow(/protocol/);
  });
});
