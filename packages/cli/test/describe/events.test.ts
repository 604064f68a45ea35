import type { CoreV1Event } from '@drover/shared';
import { describe, expect, test } from 'vitest';

import { eventLines } from '../../src/describe/events.ts';

const at = (seconds: number) => new Date(Date.UTC(2026, 0, 15, 12, 0, seconds)).toISOString();
const nowMs = Date.parse(at(10));

function event(over: Partial<CoreV1Event> = {}): CoreV1Event {
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: {
      name: 'pi.0011223344556677',
      namespace: 'default',
      uid: 'u',
      resourceVersion: '1',
      creationTimestamp: at(5),
    },
    involvedObject: { apiVersion: 'batch/v1', kind: 'Job', name: 'pi', uid: 'j' },
    type: 'Normal',
    reason: 'SuccessfulCreate',
    message: 'Created pod: pi-bcdfg',
    source: { component: 'job-controller' },
    count: 1,
    firstTimestamp: at(5),
    lastTimestamp: at(7),
    reportingComponent: 'job-controller',
    reportingInstance: '',
    ...over,
  };
}

describe('eventLines', () => {
  test('say how long ago something was, who says so, and of a message its first line', () => {
    const source = { component: 'drover-worker', host: 'node-1' };
    const lines = eventLines([event(), event({ source, message: 'one\ntwo' })], nowMs);
    expect(lines.slice(-2)).toEqual([
      'Normal   SuccessfulCreate   3s    job-controller   Created pod: pi-bcdfg',
      'Normal   SuccessfulCreate   3s    node-1           one',
    ]);
  });

  test('say of several times how many, and since when', () => {
    const [line = ''] = eventLines([event({ type: 'Warning', count: 3 })], nowMs).slice(-1);
    expect(line).toContain('Warning   SuccessfulCreate   3s (x3 over 5s)   job-controller');
  });
});
