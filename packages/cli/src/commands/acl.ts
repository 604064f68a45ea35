import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { aclPassword, aclUsers, type AclRole } from '@drover/store';

import { readPassword } from '../engine/passwordFile.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';

/** Options of `drover acl`. */
export interface AclCommandOptions {
  prefix?: string;
  format: 'setuser' | 'aclfile';
  passwords?: string;
}

/** Prints the users of an installation. */
export async function aclCommand(options: AclCommandOptions): Promise<number> {
  const { prefix = 'drover', format, passwords } = options;
  if (!/^[\w.-]{1,64}$/.test(prefix)) {
    throw badInput(`--prefix ${prefix}: 1 to 64 letters, digits, '_', '.' or '-' are expected`);
  }
  for (const { role, name, rules } of aclUsers(prefix)) {
    const secret = passwords === undefined ? [] : [aclPassword(await passwordOf(passwords, role))];
    const words = [...rules, ...secret];
    process.stdout.write(
      format === 'aclfile'
        ? `user ${name} ${words.join(' ')}\n`
        : `ACL SETUSER ${name} reset ${words.join(' ')}\n`,
    );
  }
  return EXIT.ok;
}

/** The password of a role, which is made when there is none. */
async function passwordOf(folder: string, role: AclRole): Promise<string> {
  const path = join(folder, role);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const password = randomBytes(32).toString('base64url');
    await writeFile(path, `${password}\n`, { mode: 0o600, flag: 'wx' });
    return password;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST') throw badInput(`--passwords ${folder}: ${message}`);
    return await readPassword({ path, saidAs: `--passwords ${folder}: ${role}` });
  }
}
