import { readFile } from 'node:fs/promises';
import { SecretKeyError } from '@drover/shared';
import { SecretKeys } from './keys.ts';

/** Names the key file to all programs of an installation. */
export const SECRET_KEY_VARIABLE = 'DROVER_SECRET_KEY_FILE';

/**
 * The key file of this host. Read when a key is first needed, and again when one is asked for that it
 * did not have: a file that was replaced needs no restart.
 */
export class SecretKeyFile {
  /** null = none was named. */
  readonly path: string | null;
  #keys: SecretKeys | null = null;

  /** @param path - Default: what the environment variable DROVER_SECRET_KEY_FILE says. */
  constructor(path?: string) {
    const named = path ?? process.env[SECRET_KEY_VARIABLE] ?? '';
    this.path = named === '' ? null : named;
  }

  /** The keys as they are in the file now. @throws SecretKeyError that says what to do. */
  async read(): Promise<SecretKeys> {
    const { path } = this;
    if (path === null) {
      throw new SecretKeyError(
        `no key file for Secrets is named: make one with \`drover secret-key create FILE\`, give it to every host, and name it with --secret-key-file FILE or ${SECRET_KEY_VARIABLE}`,
      );
    }
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const why = REASONS[code ?? ''] ?? message;
      throw new SecretKeyError(`the key file ${path} can not be read: ${why}`, { cause: error });
    }
    this.#keys = SecretKeys.parse(text, path);
    return this.#keys;
  }

  /** Keys with that of this name among them, if the file has it. Throws as {@link read}. */
  async with(id: string): Promise<SecretKeys> {
    return this.#keys?.has(id) === true ? this.#keys : await this.read();
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'this process may not read it',
  // What Docker makes of a file that is to be mounted and does not exist.
  EISDIR: 'it is a directory',
};
