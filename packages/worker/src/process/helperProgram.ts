import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { compiledHelper, prebuiltHelper } from './nativeHelper.ts';

/** Which process helper a worker uses; `auto` is the native one where it works, else that in JavaScript. */
export type HelperChoice = 'auto' | 'native' | 'javascript';

/** Environment variable for {@link HelperChoice}. */
export const HELPER_VARIABLE = 'DROVER_PROCESS_HELPER';

/** A program that is a process helper. */
export interface HelperProgram {
  readonly kind: 'native' | 'javascript';
  readonly command: string;
  /** Before those that every helper gets. */
  readonly args: readonly string[];
}

/** Where a helper may come from; finding it may take a compiler's time, or fail. */
export type HelperSource = () => Promise<HelperProgram | null>;

/** What to try, in this order, until one starts. Default: {@link helperChoice}. */
export function helperSources(choice: HelperChoice = helperChoice()): HelperSource[] {
  const prebuilt: HelperSource = () => Promise.resolve(nativeProgram(prebuiltHelper()));
  const compiled: HelperSource = async () => nativeProgram(await compiledHelper());
  const javascript: HelperSource = () => Promise.resolve(javascriptProgram());
  switch (choice) {
    case 'native':
      return [prebuilt, compiled];
    case 'javascript':
      return [javascript];
    case 'auto':
      return [prebuilt, compiled, javascript];
  }
}

/**
 * What the environment variable DROVER_PROCESS_HELPER says, else `auto`.
 *
 * @throws TypeError when it has another value.
 */
export function helperChoice(): HelperChoice {
  const value = process.env[HELPER_VARIABLE] ?? '';
  if (value === 'native' || value === 'javascript') return value;
  if (value === '' || value === 'auto') return 'auto';
  throw new TypeError(
    `environment variable ${HELPER_VARIABLE}: "${value}" is not one of auto, native, javascript`,
  );
}

function nativeProgram(command: string | null): HelperProgram | null {
  return command === null ? null : { kind: 'native', command, args: [] };
}

/** What the helper in JavaScript consists of. */
const SCRIPTS = ['processHelper', 'frames', 'outputPipes', 'strays'];

/** The script beside this file: JavaScript when published, and TypeScript in a checkout. */
function javascriptProgram(): HelperProgram {
  const isBuilt = import.meta.url.endsWith('.js') || hasCurrentBuild();
  // Little memory, since all of it is copied for each program that Node starts.
  const flags = [
    '--single-threaded',
    '--max-semi-space-size=1',
    '--disable-warning=ExperimentalWarning',
  ];
  const script = fileURLToPath(scriptUrl('processHelper', isBuilt ? 'js' : 'ts'));
  return { kind: 'javascript', command: process.execPath, args: [...flags, script] };
}

/**
 * Whether a checkout was built since these sources changed. Node runs the sources as well, but
 * what it needs for their types doubles its memory, and with it the price of each start.
 */
function hasCurrentBuild(): boolean {
  const builtAtMs = changedAtMs(new URL('../../dist/.tsbuildinfo', import.meta.url));
  return SCRIPTS.every((name) => changedAtMs(scriptUrl(name, 'ts')) < builtAtMs);
}

/** 0 = there is no such file. */
function changedAtMs(file: URL): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function scriptUrl(name: string, extension: 'js' | 'ts'): URL {
  const folder = extension === 'js' ? 'dist' : 'src';
  return new URL(`../../${folder}/process/${name}.${extension}`, import.meta.url);
}
