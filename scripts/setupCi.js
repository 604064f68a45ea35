// What CI checks with and nobody needs to run Drover, where it can be installed: luacheck, and what some tests
// compare Drover with or try it in, which are skipped without.
import { bringPackages, SetupError } from './lib/setup.js';
import { findOnPath } from './lib/toolchain.js';

/** Command to Debian package. */
const TOOLS = { luacheck: 'lua-check', parallel: 'parallel', zsh: 'zsh', fish: 'fish' };

const missing = Object.entries(TOOLS).filter(([command]) => findOnPath(command) === null);
const canInstall = process.getuid?.() === 0 && findOnPath('apt-get') !== null;
if (missing.length > 0 && canInstall) {
  try {
    await bringPackages(...missing.map(([, name]) => name));
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
