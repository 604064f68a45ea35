import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProcessMount } from '../../src/process/frames.ts';
import type { HelperSource } from '../../src/process/helperProgram.ts';
import { compiledHelper } from '../../src/process/nativeHelper.ts';
import { ProcessRunner } from '../../src/process/processRunner.ts';
import { canCompile, testHelpers } from '../support/helpers.ts';

const logger = pino({ level: 'silent' });
const env = { PATH: '/usr/bin:/bin' };
let directory: string;
let volume: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'drover-test-'));
  await chmod(directory, 0o777);
  volume = join(directory, 'volume');
  await mkdir(volume);
  await chmod(volume, 0o777);
  await writeFile(join(volume, 'given'), 'from outside');
  await mkdir(join(directory, 'existing'));
  await writeFile(join(directory, 'existing', 'hidden'), '');
  await mkdir(join(directory, 'other'));
  await chmod(join(directory, 'other'), 0o777);
  await writeFile(join(directory, 'file'), 'a file');
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

interface Ran {
  readonly output: string;
  readonly exitCode: number;
  readonly mountProblem: string | null | undefined;
}

async function run(
  runner: ProcessRunner,
  script: string,
  mounts: readonly ProcessMount[],
  workingDir = '/',
): Promise<Ran> {
  let output = '';
  const running = runner.start(
    { command: ['sh', '-c', script], args: [], env, mounts, workingDir },
    { onOutput: (_, chunk) => (output += chunk.toString()) },
  );
  const started = await running.started;
  const { exitCode } = await running.exited;
  return { output: output.trim(), exitCode, mountProblem: started?.mountProblem };
}

/** The helper run by a user without privileges: mounts then need a user namespace. */
const unprivileged: HelperSource = async () => {
  const copy = join(directory, 'helper');
  await copyFile(await compiledHelper(), copy);
  await chmod(copy, 0o755);
  // $1 and $2 are the nonce and the directory for its FIFO, which is of the worker's user.
  const user = '--reuid=65534 --regid=65534 --clear-groups';
  const script = `chown 65534 "$2" && exec setpriv ${user} "$0" "$1" "$2"`;
  return { kind: 'native', command: 'sh', args: ['-c', script, copy] };
};

/** Whether the system lets users without privileges make user namespaces. */
function allowsUserNamespaces(): boolean {
  try {
    const clone = readFileSync('/proc/sys/kernel/unprivileged_userns_clone', 'utf8').trim();
    if (clone === '0') return false;
  } catch {
    // Only some systems have it.
  }
  return Number(readFileSync('/proc/sys/user/max_user_namespaces', 'utf8')) > 0;
}

const isRoot = process.getuid?.() === 0;
const users = [
  { name: 'the worker’s user', helper: 'native' as const, can: isRoot || allowsUserNamespaces() },
  {
    name: 'a user without privileges',
    helper: [unprivileged],
    can: isRoot && allowsUserNamespaces(),
  },
];

describe.skipIf(!canCompile).each(users.filter(({ can }) => can))('$name', ({ helper }) => {
  let runner: ProcessRunner;

  beforeAll(async () => {
    runner = new ProcessRunner({ logger, helper });
    await runner.warmUp();
  });

  afterAll(async () => {
    await runner.close();
  });

  test('a program finds the volume where it expects it, and nobody else does', async () => {
    const target = join(directory, 'existing');
    const mounts = [{ source: volume, target, readOnly: false }];
    const ran = await run(
      runner,
      `cat ${target}/given; echo new > ${target}/made; ls ${target}`,
      mounts,
    );
    expect(ran).toEqual({ output: 'from outsidegiven\nmade', exitCode: 0, mountProblem: null });
    expect(await readFile(join(volume, 'made'), 'utf8')).toBe('new\n');
    expect(existsSync(join(target, 'hidden'))).toBe(true);
    expect(existsSync(join(target, 'given'))).toBe(false);
    const after = await run(runner, `ls ${target}`, []);
    expect(after.output).toBe('hidden');
    await rm(join(volume, 'made'));
  });

  test('it may be the working directory', async () => {
    const target = join(directory, 'new', 'deep');
    const ran = await run(
      runner,
      'pwd; cat given',
      [{ source: volume, target, readOnly: false }],
      target,
    );
    expect(ran).toMatchObject({ output: `${target}\nfrom outside`, exitCode: 0 });
  });

  test('read-only is read-only', async () => {
    const target = join(directory, 'existing');
    const ran = await run(runner, `cat ${target}/given; touch ${target}/x`, [
      { source: volume, target, readOnly: true },
    ]);
    expect(ran.exitCode).not.toBe(0);
    expect(ran.output).toMatch(/^from outside.*read-only/i);
  });

  test('a place that does not exist is made, for this program alone', async () => {
    const beside = join(directory, 'file');
    const target = join(directory, 'no', 'such', 'place');
    const ran = await run(runner, `cat ${target}/given ${beside}; ls ${directory}/existing`, [
      { source: volume, target, readOnly: false },
    ]);
    // What lies beside it is still there.
    expect(ran).toEqual({ output: 'from outsidea filehidden', exitCode: 0, mountProblem: null });
    expect(existsSync(join(directory, 'no'))).toBe(false);
  });

  test('also at the root', async () => {
    const ran = await run(
      runner,
      'cat /no-such-place/here/given; ls /tmp >/dev/null && test -e /proc/self/status && test -c /dev/null && echo ok',
      [{ source: volume, target: '/no-such-place/here', readOnly: false }],
    );
    expect(ran).toEqual({ output: 'from outsideok', exitCode: 0, mountProblem: null });
    expect(existsSync('/no-such-place')).toBe(false);
  });

  test('what is made for one place is not made in what the machine has beside it', async () => {
    const within = (name: string): string => join(directory, 'other', name);
    const targets = ['/no-such-place', join(directory, 'no'), within('x'), within('y/z')];
    const ran = await run(
      runner,
      `cat ${targets.map((target) => `${target}/given`).join(' ')}`,
      targets.map((target) => ({ source: volume, target, readOnly: false })),
    );
    expect(ran).toMatchObject({ output: 'from outside'.repeat(4), mountProblem: null });
    expect(['/no-such-place', ...targets, within('y')].filter((path) => existsSync(path))).toEqual(
      [],
    );
  });

  test('several, one within another, whatever their order', async () => {
    const ran = await run(runner, 'echo inner > /no-such/a/b/x; ls /no-such/a; ls /no-such/a/b', [
      { source: join(directory, 'other'), target: '/no-such/a/b', readOnly: false },
      { source: volume, target: '/no-such/a', readOnly: false },
    ]);
    expect(ran.mountProblem).toBeNull();
    expect(ran.output).toBe('b\ngiven\nx');
    expect(await readFile(join(directory, 'other', 'x'), 'utf8')).toBe('inner\n');
    await rm(join(volume, 'b'), { recursive: true });
    await rm(join(directory, 'other', 'x'));
  });

  test('nothing is made outside through links that a program left in a volume', async () => {
    const outside = join(directory, 'other');
    const within = join(directory, 'existing');
    const linked = await mkdtemp(join(directory, 'linked-'));
    await chmod(linked, 0o777);
    await symlink(join(outside, 'file'), join(linked, 'gone'));
    await symlink(outside, join(linked, 'out'));
    const mount = (source: string, target: string) => ({ source, target, readOnly: false });
    const first = mount(linked, within);
    const file = await run(runner, 'true', [
      first,
      mount(join(directory, 'file'), join(within, 'gone')),
    ]);
    expect(file.mountProblem).toBe(`${join(within, 'gone')}: EEXIST`);
    const inner = join(within, 'out', 'deep');
    const folder = await run(runner, `cat ${inner}/given`, [first, mount(volume, inner)]);
    expect(folder).toMatchObject({ output: 'from outside', mountProblem: null });
    expect(await readdir(outside)).toEqual([]);
  });

  test('when one can not be made none is, and the program runs', async () => {
    const target = join(directory, 'existing');
    const ran = await run(runner, `ls ${target}`, [
      { source: volume, target, readOnly: false },
      { source: '/no/such/source', target: '/mnt', readOnly: false },
    ]);
    expect(ran.output).toBe('hidden');
    expect(ran.mountProblem).toBe('/no/such/source: ENOENT');
  });

  test('when one can not be made that is required the program does not run', async () => {
    const target = join(directory, 'existing');
    const ran = await run(runner, 'echo it runs', [
      { source: volume, target, readOnly: false, isRequired: true },
      { source: '/no/such/source', target: '/mnt', readOnly: false },
    ]);
    expect(ran).toEqual({ output: '', exitCode: 128, mountProblem: undefined });
  });
});

test.each(testHelpers.filter(({ canMount }) => !canMount))(
  'the $name helper says that it makes none',
  async ({ helper }) => {
    const runner = new ProcessRunner({ logger, helper });
    const mounts = [{ source: volume, target: '/mnt', readOnly: false }];
    const ran = await run(runner, 'ls -d /mnt', mounts);
    const required = mounts.map((mount) => ({ ...mount, isRequired: true }));
    const refused = await run(runner, 'echo it runs', required);
    await runner.close();
    expect(refused).toEqual({ output: '', exitCode: 128, mountProblem: undefined });
    expect(ran).toMatchObject({ output: '/mnt', exitCode: 0 });
    expect(ran.mountProblem).toMatch(/./);
  },
);
