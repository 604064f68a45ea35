import { fileURLToPath } from 'node:url';
import { isAlive, type NodeProcess, spawnNode, waitFor } from '@drover/testkit';
import { describe, expect, test } from 'vitest';
import { isNodeNewEnough } from '../lib/toolchain.js';

const launcher = fileURLToPath(new URL('../launch.js', import.meta.url));
const echo = 'scripts/test/fixtures/echo.ts';

function launch(...args: string[]): NodeProcess {
  return spawnNode(launcher, args);
}

describe('launch', () => {
  test('runs a TypeScript file with its arguments and ends as it ended', async () => {
    const launched = launch(echo, 'end', '3');
    expect(await launched.exited).toEqual({ code: 3, signal: null });
    expect(launched.output('stdout')).toMatch(/what=end/);
    expect(launched.output('stderr')).toBe('');
  });

  test('runs a command of node_modules/.bin', async () => {
    const launched = launch('tsc', '--version');
    expect(await launched.exited).toEqual({ code: 0, signal: null });
    expect(launched.output()).toMatch(/^Version 7/);
  });

  test('passes SIGTERM on and waits for the end', async () => {
    const launched = launch(echo, 'stay');
    await launched.waitForLine(/what=stay/);
    expect(await launched.kill('SIGTERM')).toEqual({ code: 7, signal: null });
  });

  test.runIf(process.platform === 'linux')(
    'takes the program along when it is killed',
    async () => {
      const launched = launch(echo, 'stay');
      const [, pid] = await launched.waitForLine(/pid=(\d+)/);
      launched.signal('SIGKILL');
      await waitFor(() => !isAlive(Number(pid)), { describe: `process ${pid} to end` });
    },
  );

  test('refuses Windows before it brings anything', async () => {
    const pretend =
      'data:text/javascript,Object.defineProperty(process,"platform",{value:"win32"})';
    const launched = spawnNode(launcher, [echo, 'end', '3'], { execArgv: ['--import', pretend] });
    expect(await launched.exited).toEqual({ code: 1, signal: null });
    expect(launched.output()).toMatch(/^set-up: Drover does not run on Windows: .*\n$/);
  });

  test('says what is missing', async () => {
    const noFile = launch('scripts/nothing.ts');
    expect(await noFile.exited).toEqual({ code: 1, signal: null });
    expect(noFile.output()).toBe('there is no scripts/nothing.ts\n');
    const noCommand = launch('nothing');
    expect(await noCommand.exited).toEqual({ code: 1, signal: null });
    expect(noCommand.output()).toBe('there is no command nothing in node_modules/.bin\n');
  });
});

test.each([
  ['18.20.0', false],
  ['20.19.5', false],
  ['22.17.9', false],
  ['22.18.0', true],
  ['22.19.0', true],
  ['23.0.0', true],
  ['24.21.0', true],
])('Node %s: new enough is %s', (version, want) => {
  expect(isNodeNewEnough(version)).toBe(want);
});
