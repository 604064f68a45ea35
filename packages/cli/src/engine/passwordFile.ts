import { readFile } from 'node:fs/promises';

import { badInput } from '../errors.ts';

/** Name of the variable that does what `--redis-password-file` does. */
export const PASSWORD_FILE_VARIABLE = 'DROVER_REDIS_PASSWORD_FILE';

/** A file with a password, and where it was named. */
export interface PasswordFile {
  readonly path: string;
  /** As the user wrote it, for messages: `--redis-password-file PATH` or `NAME=PATH`. */
  readonly saidAs: string;
}

/** The password file that is named by the option, else by the environment; null when there is none. */
export function findPasswordFile(option: string | undefined): PasswordFile | null {
  if (option !== undefined) return { path: option, saidAs: `--redis-password-file ${option}` };
  const path = process.env[PASSWORD_FILE_VARIABLE];
  if (path === undefined || path === '') return null;
  return { path, saidAs: `${PASSWORD_FILE_VARIABLE}=${path}` };
}

/**
 * Puts the password of a file into the address of a Redis.
 *
 * @param url - An address with or without a user name, or the path of a unix socket.
 * @throws CliError when the file can not be read, holds no password or more than one line, or when
 *   the URL has a password already.
 */
export async function addPassword(url: string, file: PasswordFile): Promise<string> {
  const password = await readPassword(file);
  // Help must not wait for the store to be loaded.
  const { withPassword } = await import('@drover/store');
  const address = withPassword(url, password);
  if (address === null) throw hasPassword(file);
  return address;
}

/** Reads it. @throws CliError as {@link addPassword}. */
export async function readPassword({ path, saidAs }: PasswordFile): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw badInput(`${saidAs}: ${explain(error)}`);
  }
  // Editors and echo end a file with a line break, which is no part of the password.
  const password = text.replace(/\r?\n$/, '');
  if (password === '') throw badInput(`${saidAs}: the file is empty, a password is expected`);
  if (/[\r\n]/.test(password)) {
    throw badInput(`${saidAs}: the file has several lines, only the password is expected`);
  }
  return password;
}

function hasPassword({ saidAs }: PasswordFile): Error {
  return badInput(`${saidAs}: the address of Redis has a password already, leave one of them out`);
}

function explain(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  switch (code) {
    case 'ENOENT':
      return 'no such file';
    case 'EISDIR':
      // What Docker makes of a file that is to be mounted and does not exist.
      return 'is a directory, a file with the password is expected';
    case 'EACCES':
      return `user ${process.getuid?.() ?? ''} of this process may not read it`;
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
