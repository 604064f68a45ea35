import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { SecretKeyError } from '@drover/shared';

/** Length of a key, and of the one that is derived from it to encrypt with. */
const KEY_BYTES = 32;
/** Of AES-256-GCM: what a nonce and a tag have. A nonce is random, so a key is good for 2^32 writes. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const ID_BYTES = 6;

/** Bytes that only the owner of a key can read, and that nobody else can have written. */
export interface Sealed {
  /** Which key: a name made from it. */
  readonly key: string;
  /** Base64 of nonce, tag and encrypted bytes. */
  readonly bytes: string;
}

interface SecretKey {
  readonly id: string;
  readonly key: Buffer;
}

/**
 * The keys of an installation: the first encrypts, all of them decrypt, so that a key can be replaced
 * while what it encrypted is still there.
 */
export class SecretKeys {
  readonly #keys: readonly [SecretKey, ...SecretKey[]];
  /** Where they are from, for messages. */
  readonly #from: string;

  /**
   * Reads the text of a key file: a key a line, 32 bytes in base64; `#` begins a comment.
   *
   * @throws SecretKeyError that says which line is wrong, and never what is in it.
   */
  static parse(text: string, from: string): SecretKeys {
    const keys: SecretKey[] = [];
    for (const [at, line] of text.split('\n').entries()) {
      const word = line.trim();
      if (word === '' || word.startsWith('#')) continue;
      const bytes = Buffer.from(word, 'base64');
      if (bytes.length !== KEY_BYTES || !/^[A-Za-z0-9+/]+=*$/.test(word)) {
        throw new SecretKeyError(`${from}, line ${at + 1}: 32 bytes in base64 are expected`);
      }
      keys.push(deriveKey(bytes));
    }
    const [first, ...others] = keys;
    if (first === undefined) throw new SecretKeyError(`${from}: there is no key in it`);
    return new SecretKeys([first, ...others], from);
  }

  private constructor(keys: readonly [SecretKey, ...SecretKey[]], from: string) {
    this.#keys = keys;
    this.#from = from;
  }

  /** The name of the key that encrypts. */
  get id(): string {
    return this.#keys[0].id;
  }

  /** Whether bytes were encrypted with one of these keys. */
  has(id: string): boolean {
    return this.#keys.some((key) => key.id === id);
  }

  /**
   * Encrypts.
   *
   * @param context - What the bytes belong to: with another one they can not be decrypted.
   */
  seal(plain: string, context: string): Sealed {
    const { id, key } = this.#keys[0];
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.from(context));
    const encrypted = [cipher.update(plain, 'utf8'), cipher.final()];
    const bytes = Buffer.concat([nonce, cipher.getAuthTag(), ...encrypted]);
    return { key: id, bytes: bytes.toString('base64') };
  }

  /** Decrypts. @throws SecretKeyError when the key is missing, or the bytes are not what was written. */
  unseal(sealed: Sealed, context: string): string {
    const known = this.#keys.find(({ id }) => id === sealed.key);
    if (known === undefined) {
      const ids = this.#keys.map(({ id }) => id).join(', ');
      throw new SecretKeyError(
        `it is encrypted with the key ${sealed.key}, which is not in ${this.#from} (it has ${ids})`,
      );
    }
    const bytes = Buffer.from(sealed.bytes, 'base64');
    const nonce = bytes.subarray(0, NONCE_BYTES);
    const tag = bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
    try {
      const cipher = createDecipheriv('aes-256-gcm', known.key, nonce, {
        authTagLength: TAG_BYTES,
      });
      cipher.setAAD(Buffer.from(context));
      cipher.setAuthTag(tag);
      const parts = [cipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), cipher.final()];
      return Buffer.concat(parts).toString('utf8');
    } catch (error) {
      throw new SecretKeyError('what is stored of it is not what was written', { cause: error });
    }
  }
}

/** A new key as a line of a key file. */
export function newSecretKey(): string {
  return randomBytes(KEY_BYTES).toString('base64');
}

/** The key that encrypts and its name, both made from the one of the file: the name gives nothing away. */
function deriveKey(secret: Buffer): SecretKey {
  const derive = (purpose: string, length: number) =>
    Buffer.from(hkdfSync('sha256', secret, '', `drover secrets: ${purpose}`, length));
  return {
    id: derive('name of the key', ID_BYTES).toString('hex'),
    key: derive('aes-256-gcm', KEY_BYTES),
  };
}
