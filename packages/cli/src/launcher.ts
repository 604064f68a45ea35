import { fileURLToPath } from 'node:url';

/** The program `drover` of this installation, for Node. */
export const DROVER = fileURLToPath(new URL('../bin/drover.js', import.meta.url));

/** Words that start it, with the Node that runs now: there may be none, or another one, in PATH. */
export const LAUNCHER: readonly string[] = [process.execPath, DROVER];
