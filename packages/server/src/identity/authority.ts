/** Certificates: an authority of the server's own, and the certificate it gives to the server. */

import { randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

/** A certificate with its private key, both as PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly privateKey: string;
}

/** Small keys, quick to make, known to every client. */
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3_650;
/** Some clients refuse certificates that are valid for longer. */
const SERVER_DAYS = 397;
/** One that ends sooner is replaced at the next start. */
const RENEW_BEFORE_DAYS = 60;
/** Clocks of client and server differ. */
const CLOCK_SKEW_MS = 5 * 60_000;

/** The library, loaded only when a certificate is made: once in a year. */
async function loadX509() {
  // It finds its parts by decorators, which want this first.
  await import('reflect-metadata');
  return await import('@peculiar/x509');
}

/** Makes an authority that signs the certificates of servers. */
export async function createAuthority(nowMs: number): Promise<KeyPair> {
  const x509 = await loadX509();
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: 'CN=drover-ca',
    notBefore: new Date(nowMs - CLOCK_SKEW_MS),
    notAfter: new Date(nowMs + AUTHORITY_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    certificate: certificate.toString('pem'),
    privateKey: await exportKey(keys.privateKey),
  };
}

/**
 * Makes a server's certificate.
 *
 * @param names - DNS names and addresses that clients reach it by.
 */
export async function createServerCertificate(
  authority: KeyPair,
  names: readonly string[],
  nowMs: number,
): Promise<KeyPair> {
  const x509 = await loadX509();
  const issuer = new x509.X509Certificate(authority.certificate);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const notAfterMs = Math.min(nowMs + SERVER_DAYS * DAY_MS, issuer.notAfter.getTime());
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: 'CN=drover-server',
    issuer: issuer.subject,
    notBefore: new Date(nowMs - CLOCK_SKEW_MS),
    notAfter: new Date(notAfterMs),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.privateKey),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((name) => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return {
    certificate: certificate.toString('pem'),
    privateKey: await exportKey(keys.privateKey),
  };
}

/** Whether a server's certificate is of this authority, is for all of these names, and is valid for a while. */
export function isCertificateGood(
  pem: string,
  authority: string,
  names: readonly string[],
  nowMs: number,
): boolean {
  try {
    const certificate = new X509Certificate(pem);
    const issuer = new X509Certificate(authority);
    return (
      certificate.verify(issuer.publicKey) &&
      certificate.validToDate.getTime() > nowMs + RENEW_BEFORE_DAYS * DAY_MS &&
      names.every(
        (name) =>
          (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !==
          undefined,
      )
    );
  } catch {
    // A damaged file is as good as none.
    return false;
  }
}

/** Whether an authority can go on signing. */
export function isAuthorityGood({ certificate }: KeyPair, nowMs: number): boolean {
  try {
    const { ca, validToDate } = new X509Certificate(certificate);
    return ca && validToDate.getTime() > nowMs + SERVER_DAYS * DAY_MS;
  } catch {
    return false;
  }
}

/** Positive, as the standard wants it. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x01;
  return bytes.toString('hex');
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`;
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = Buffer.from(pem.replace(/-----[A-Z ]+-----/g, ''), 'base64');
  return await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
}
