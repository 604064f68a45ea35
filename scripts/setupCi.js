// What CI checks with and nobody needs to run Drover, where it can be installed: luacheck, and what some tests
// compare Drover with or try it in, which are skipped without.
import { existsSync } from 'node:fs';

import { bringPackages, SetupError } from './lib/setup.js';
import { findOnPath } from './lib/toolchain.js';

/** Command to Debian package. */
const TOOLS = {
  luacheck: 'lua-check',
  parallel: 'parallel',
  zsh: 'zsh',
  fish: 'fish',
  bwrap: 'bubblewrap',
};

/** Debian packages that are no commands, and what they bring. */
const LIBRARIES = { 'python3-kubernetes': '/usr/lib/python3/dist-packages/kubernetes' };

const missing = [
  ...Object.entries(TOOLS).flatMap(([command, name]) =>
    findOnPath(command) === null ? [name] : [],
  ),
  ...Object.entries(LIBRARIES).flatMap(([name, path]) => (existsSync(path) ? [] : [name])),
];
const canInstall = process.getuid?.() === 0 && findOnPath('apt-get') !== null;
if (missing.length > 0 && canInstall) {
  try {
    await bringPackages(...missing);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
