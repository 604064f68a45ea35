import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeStart,
  encodeFrame,
  encodeOutput,
  FrameReader,
  FrameType,
  StartEncoder,
  type Frame,
} from '../../src/process/frames.ts';

const text = fc.string({ unit: 'binary' }).map((value) => value.replaceAll('\0', ''));

/** Takes what comes, output as a frame whose fields are the stream and the text. */
class Received {
  readonly frames: Frame[] = [];
  onFrame(frame: Frame): void {
    this.frames.push(frame);
  }
  onOutput(id: number, stream: string, bytes: Buffer): void {
    this.frames.push({ type: FrameType.output, id, fields: [stream, bytes.toString('latin1')] });
  }
}

function read(stream: Buffer, cuts: readonly number[] = []): Frame[] {
  const received = new Received();
  const reader = new FrameReader(received);
  let from = 0;
  for (const size of [...cuts, stream.length]) {
    reader.push(stream.subarray(from, from + size));
    from += size;
  }
  return received.frames;
}

/** Output may come in other pieces than it was sent in. */
function joinOutput(frames: readonly Frame[]): Frame[] {
  const joined: Frame[] = [];
  for (const frame of frames) {
    const [stream = '', bytes = ''] = frame.fields;
    const last = joined.at(-1);
    const isMore = last?.type === FrameType.output && last.id === frame.id;
    if (frame.type !== FrameType.output) joined.push(frame);
    else if (isMore && last.fields[0] === stream) {
      joined[joined.length - 1] = { ...frame, fields: [stream, `${last.fields[1]}${bytes}`] };
    } else if (bytes !== '') joined.push(frame);
  }
  return joined;
}

describe('frames', () => {
  test('whatever the pieces a stream arrives in, the frames are those that were sent', () => {
    const frame = fc.record({
      type: fc.integer({ min: 0, max: 255 }).filter((type) => type !== FrameType.output),
      id: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      fields: fc.array(text, { minLength: 2 }),
    });
    const output = fc.record({
      type: fc.constant(FrameType.output),
      id: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      fields: fc.tuple(
        fc.constantFrom('stdout', 'stderr'),
        fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('latin1')),
      ),
    });
    const cuts = fc.array(fc.integer({ min: 1, max: 40 }));
    fc.assert(
      fc.property(fc.array(fc.oneof(frame, output)), cuts, (sent, sizes) => {
        const stream = sent.map(({ type, id, fields: [first = '', second = '', ...rest] }) =>
          type === FrameType.output
            ? encodeOutput(id, first as 'stdout', Buffer.from(second, 'latin1'))
            : encodeFrame(type, id, [first, second, ...rest]),
        );
        expect(joinOutput(read(Buffer.concat(stream), sizes))).toEqual(joinOutput(sent));
      }),
    );
  });

  test.each([null, '/in/put'])('a start request survives the way, with the input %s', (input) => {
    const request = {
      workingDir: '/tmp',
      input,
      mounts: [
        { source: '/a', target: '/b', readOnly: true },
        { source: '/c', target: '/d', readOnly: false },
        { source: '/e', target: '/f', readOnly: false, isRequired: true },
      ],
      user: input === null ? null : { uid: 1000, gid: 1001, groups: [5, 6] },
      cgroup: input === null ? null : '/sys/fs/cgroup/a',
      argv: ['sh', '-c', '', 'ä=b\n'],
      env: { A: '', B: 'x=y', __proto__x: '1' },
    };
    const [frame] = read(new StartEncoder(request).encode(7, []));
    expect(frame).toMatchObject({ type: FrameType.start, id: 7 });
    const decoded = decodeStart(frame?.fields ?? []);
    expect({ ...decoded, env: { ...decoded.env } }).toEqual(request);
  });

  test('variables of its own come behind what a program has in common with others', () => {
    const common = {
      workingDir: '/',
      input: null,
      user: null,
      cgroup: null,
      mounts: [],
      argv: ['true', ''],
      env: { A: '1' },
    };
    for (const [env, own, all] of [
      [{ A: '1' }, [], { A: '1' }],
      [{ A: '1' }, ['B=ö', 'C='], { A: '1', B: 'ö', C: '' }],
      [{}, ['B=2'], { B: '2' }],
    ] as const) {
      const encoder = new StartEncoder({ ...common, env: { ...env } });
      // The same for each, whatever was encoded before.
      for (const id of [1, 2 ** 32 - 1]) {
        const [frame] = read(encoder.encode(id, own));
        expect(frame).toMatchObject({ type: FrameType.start, id });
        const decoded = decodeStart(frame?.fields ?? []);
        expect({ ...decoded, env: { ...decoded.env } }).toEqual({ ...common, env: all });
      }
    }
  });

  test('NUL is refused', () => {
    expect(() => encodeFrame(1, 1, ['a\0b'])).toThrow(RangeError);
    const encoder = new StartEncoder({
      workingDir: '/',
      input: null,
      user: null,
      cgroup: null,
      mounts: [],
      argv: ['true'],
      env: {},
    });
    expect(() => encoder.encode(1, ['A=\0B=2'])).toThrow(RangeError);
  });

  test('what is not a frame is refused, not waited for', () => {
    const garbage = Buffer.from('hello, this is not a frame');
    expect(() => read(garbage)).toThrow(/protocol/);
  });
});
