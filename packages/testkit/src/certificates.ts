import { randomBytes, webcrypto } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

/** Paths of a certificate and its key, both as PEM. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** A certificate authority for one test, which writes what it makes into a folder. */
export class TestAuthority {
  /** Path of its own certificate. */
  readonly cacert: string;
  readonly #folder: string;
  readonly #name: string;
  readonly #keys: webcrypto.CryptoKeyPair;

  private constructor(folder: string, name: string, keys: webcrypto.CryptoKeyPair) {
    this.#folder = folder;
    this.#name = name;
    this.#keys = keys;
    this.cacert = join(folder, `${name}.pem`);
  }

  /** @param name - Told from those of other authorities in the same folder. */
  static async create(folder: string, name: string): Promise<TestAuthority> {
    const x509 = await loadX509();
    const keys = await makeKeys();
    const authority = new TestAuthority(folder, name, keys);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: serialNumber(),
      name: `CN=${name}`,
      ...validity(),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    });
    await writeFile(authority.cacert, certificate.toString('pem'));
    return authority;
  }

  /** Makes a certificate for a server or a client. @param hosts - DNS names and addresses. */
  async issue(name: string, hosts: readonly string[]): Promise<CertificateFiles> {
    const x509 = await loadX509();
    const keys = await makeKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: `CN=${name}`,
      issuer: `CN=${this.#name}`,
      ...validity(),
      signingAlgorithm: ALGORITHM,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      extensions: [
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.serverAuth,
          x509.ExtendedKeyUsage.clientAuth,
        ]),
        ...(hosts.length === 0
          ? []
          : [
              new x509.SubjectAlternativeNameExtension(
                hosts.map((host) => ({ type: isIP(host) === 0 ? 'dns' : 'ip', value: host })),
              ),
            ]),
      ],
    });
    const files = {
      cert: join(this.#folder, `${name}.crt`),
      key: join(this.#folder, `${name}.key`),
    };
    await writeFile(files.cert, certificate.toString('pem'));
    const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
    await writeFile(
      files.key,
      `-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`,
      { mode: 0o600 },
    );
    return files;
  }
}

/** The library, loaded only where a test wants certificates. */
async function loadX509() {
  // It finds its parts by decorators, which want this first.
  await import('reflect-metadata');
  return await import('@peculiar/x509');
}

async function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

function serialNumber(): string {
  return `01${randomBytes(8).toString('hex')}`;
}

function validity(): { notBefore: Date; notAfter: Date } {
  const nowMs = Date.now();
  return { notBefore: new Date(nowMs - DAY_MS), notAfter: new Date(nowMs + DAY_MS) };
}
