// Runs luacheck over the Redis scripts: as they are written, and put together with their shared
// blocks, where every name must be known. Without luacheck it says so and passes.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { scriptFiles, SCRIPT_NAMES, scriptSource } from '../packages/store/src/scripts.ts';
import { findOnPath, ROOT } from './lib/toolchain.js';

function luacheck(args: string[]): boolean {
  const ended = spawnSync('luacheck', ['--quiet', '--no-color', ...args], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  return ended.status === 0;
}

function checkAssembled(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'drover-lua-'));
  try {
    for (const name of SCRIPT_NAMES) {
      writeFileSync(join(folder, `${name}.lua`), scriptSource(name));
    }
    const globals = ['redis', 'KEYS', 'ARGV', 'cjson', 'cmsgpack', 'struct', 'bit'];
    // 1xx: globals.
    const known = ['--std', 'lua51', '--read-globals', ...globals];
    return luacheck([folder, '--no-config', '--only', '1', ...known]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (findOnPath('luacheck') === null) {
  console.log('luacheck is not installed (Debian: lua-check): the Lua scripts are not checked');
} else {
  const known = new Set<string>(SCRIPT_NAMES);
  for (const name of scriptFiles().filter((file) => !known.has(file))) {
    console.log(`packages/store/lua/${name}.lua is not in SCRIPT_NAMES`);
    process.exitCode = 1;
  }
  const written = luacheck(['packages/store/lua', '--config', '.luacheckrc']);
  const assembled = checkAssembled();
  if (!written || !assembled) process.exitCode = 1;
}
