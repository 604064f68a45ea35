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

/**
 * What to try, in this order, until one starts.
 *
 * @param choice - Default: what DROVER_PROCESS_HELPER says, else `auto`.
 * @throws TypeError when the variable has another value.
 */
export function helperSources(choice: HelperChoice = choiceOfEnvironment()): HelperSource[] {
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

function choiceOfEnvironment(): HelperChoice {
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

/** The script beside this file: TypeScript in development, JavaScript when published. */
function javascriptProgram(): HelperProgram {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const script = fileURLToPath(new URL(`./processHelper.${extension}`, import.meta.url));
  const args = ['--disable-warning=ExperimentalWarning', script];
  return { kind: 'javascript', command: process.execPath, args };
}
