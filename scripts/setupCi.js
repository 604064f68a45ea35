// What CI checks with and nobody needs to run Drover: luacheck, where it can be installed.
import { bringPackages, SetupError } from './lib/setup.js';
import { findOnPath } from './lib/toolchain.js';

const canInstall = process.getuid?.() === 0 && findOnPath('apt-get') !== null;
if (findOnPath('luacheck') === null && canInstall) {
  try {
    await bringPackages('lua-check');
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
