/** Base64 by hand, since a browser and Node share no typed API for it. */

import { byteLength } from './utf8.ts';

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Whether a text is base64 with its padding. */
export function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}

/** How many bytes a base64 text stands for. */
export function base64Size(text: string): number {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  return (text.length / 4) * 3 - padding;
}

/** A text in UTF-8 as base64. */
export function encodeBase64(text: string): string {
  const bytes = utf8Bytes(text);
  let encoded = '';
  for (let at = 0; at < bytes.length; at += 3) {
    const left = bytes.length - at;
    const group = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    encoded += `${DIGITS[group >> 18]}${DIGITS[(group >> 12) & 63]}`;
    encoded += left > 1 ? DIGITS[(group >> 6) & 63] : '=';
    encoded += left > 2 ? DIGITS[group & 63] : '=';
  }
  return encoded;
}

/** The text that base64 stands for; null when it is none in UTF-8. */
export function decodeBase64(encoded: string): string | null {
  let escaped = '';
  for (let at = 0; at < encoded.length; at += 4) {
    let group = 0;
    for (const digit of encoded.slice(at, at + 4)) {
      group = (group << 6) | Math.max(0, DIGITS.indexOf(digit));
    }
    escaped += [group >> 16, (group >> 8) & 255, group & 255]
      .slice(0, base64Size(encoded.slice(at, at + 4)))
      .map((byte) => `%${byte.toString(16).padStart(2, '0')}`)
      .join('');
  }
  try {
    return decodeURIComponent(escaped);
  } catch {
    return null;
  }
}

function utf8Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(byteLength(text.toWellFormed()));
  let at = 0;
  for (const character of text.toWellFormed()) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x80) {
      bytes[at++] = code;
      continue;
    }
    const trailing = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    const lead = [0, 0xc0, 0xe0, 0xf0][trailing] ?? 0;
    bytes[at++] = lead | (code >> (6 * trailing));
    for (let left = trailing - 1; left >= 0; left--) {
      bytes[at++] = 0x80 | ((code >> (6 * left)) & 0x3f);
    }
  }
  return bytes;
}
