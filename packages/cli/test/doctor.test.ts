import { afterAll, beforeAll, expect, test, vi } from 'vitest';

import { Home } from './drover.ts';
import { LocalEngine } from './localEngine.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let home: Home;
let engine: LocalEngine;

beforeAll(async () => {
  home = await Home.make();
  engine = await LocalEngine.start();
});

afterAll(async () => {
  await engine.stop();
  await home.remove();
});

const doctor = (...args: string[]) => home.drover(['doctor', '--redis', engine.redis.url, ...args]);

test('says that all is well of an engine that runs', async () => {
  const { code, stdout, stderr } = await doctor();
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^ok {7}Redis \d+\.\d+\.\d+ at .*, up \d+ min$/m);
  expect(stdout).toMatch(/^ok {7}1 controller runs, nothing is overdue$/m);
  expect(stdout).toMatch(/^ok {7}1 worker is ready$/m);
  expect(stdout).not.toMatch(/^problem/m);
});

test('finds a key that belongs to nothing, says what to do, and exits with 1', async () => {
  const key = '{drover:0}:job:gone:slots';
  await engine.redis.connect().set(key, 'x');
  const { code, stdout } = await doctor('--json');
  const { healthy, findings } = JSON.parse(stdout) as {
    healthy: boolean;
    findings: { check: string; level: string; message: string; advice: string[] }[];
  };
  expect([code, healthy]).toEqual([1, false]);
  const bad = findings.filter(({ level }) => level === 'problem');
  expect(bad).toHaveLength(1);
  expect(bad[0]).toMatchObject({ check: 'keys.orphans' });
  expect(bad[0]!.message).toContain(key);
  expect(bad[0]!.advice).not.toEqual([]);
});
