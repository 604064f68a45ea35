import { compiledHelper, PORTABLE_FLAG } from '../../src/process/nativeHelper.ts';
import type { HelperChoice, HelperSource } from '../../src/process/helperProgram.ts';

/** A process helper to run the tests against. */
export interface TestHelper {
  readonly name: string;
  readonly helper: HelperChoice | readonly HelperSource[];
  /** Knows the processes it must kill in every case, as a subreaper does. */
  readonly missesNothing: boolean;
  /** Finds what left the process group. */
  readonly seesBeyondGroup: boolean;
  /** Makes mounts where the system allows it. */
  readonly canMount: boolean;
}

/** The native helper as it is built on other systems than Linux. */
const portable: HelperSource = async () => ({
  kind: 'native',
  command: await compiledHelper([PORTABLE_FLAG]),
  args: [],
});

/** Whether the native helper can be compiled on this machine; else its tests are skipped. */
export const canCompile = await compiles([]);

/** Whether the native helper can be compiled with these flags. */
export async function compiles(flags: readonly string[]): Promise<boolean> {
  try {
    await compiledHelper(flags);
    return true;
  } catch {
    return false;
  }
}

const allHelpers: readonly TestHelper[] = [
  {
    name: 'native',
    helper: 'native',
    missesNothing: true,
    seesBeyondGroup: true,
    canMount: true,
  },
  {
    name: 'portable',
    helper: [portable],
    missesNothing: false,
    seesBeyondGroup: false,
    canMount: false,
  },
  {
    name: 'javascript',
    helper: 'javascript',
    missesNothing: false,
    seesBeyondGroup: true,
    canMount: false,
  },
];

/** All helpers that this machine can have: each must do the same. */
export const testHelpers = allHelpers.filter(({ name }) => canCompile || name === 'javascript');
