import { describe, expect, test } from 'vitest';

import {
  dnsLabelProblems,
  dnsSubdomainProblems,
  envNameProblems,
  handlerNameProblems,
  labelValueProblems,
  qualifiedNameProblems,
  uidProblems,
} from '../src/index.ts';
import { domainPrefixedPathProblems, generateNameProblems } from '../src/names.ts';

interface Rule {
  readonly name: string;
  readonly check: (value: string) => string[];
  readonly good: readonly string[];
  /** With what the first problem says. */
  readonly bad: readonly (readonly [string, RegExp])[];
}

const rules: Rule[] = [
  {
    name: 'DNS label',
    check: dnsLabelProblems,
    good: ['a', '0', 'a-b', '123-abc', 'a'.repeat(63)],
    bad: [
      ['', /lowercase RFC 1123 label/],
      ['A', /lowercase RFC 1123 label/],
      ['a_b', /lowercase RFC 1123 label/],
      ['-a', /start and end/],
      ['a-', /start and end/],
      ['a.b', /^must not contain dots$/],
      ['a'.repeat(64), /^must be no more than 63 bytes$/],
      ['a\n', /lowercase RFC 1123 label/],
    ],
  },
  {
    name: 'DNS subdomain',
    check: dnsSubdomainProblems,
    good: ['a', 'a.b', 'a-b.c-d', 'a'.repeat(253)],
    bad: [
      ['', /lowercase RFC 1123 subdomain/],
      ['a..b', /lowercase RFC 1123 subdomain/],
      ['.a', /lowercase RFC 1123 subdomain/],
      ['A.b', /lowercase RFC 1123 subdomain/],
      ['a'.repeat(254), /^must be no more than 253 bytes$/],
    ],
  },
  {
    name: 'generateName',
    check: generateNameProblems,
    good: ['a', 'a-', 'a.b-'],
    bad: [
      ['A-', /lowercase RFC 1123 subdomain/],
      ['a.', /lowercase RFC 1123 subdomain/],
    ],
  },
  {
    name: 'qualified name',
    check: qualifiedNameProblems,
    good: ['a', 'A_b.c-d', 'example.com/a', 'a'.repeat(63), '0'],
    bad: [
      ['', /^name part must be non-empty$/],
      ['/a', /^prefix part must be non-empty$/],
      ['a/', /^name part must be non-empty$/],
      ['A.com/a', /^prefix part a lowercase RFC 1123 subdomain/],
      ['a/b/c', /with an optional DNS subdomain prefix/],
      ['-a', /^name part a qualified name must consist of/],
      ['a'.repeat(64), /^name part must be no more than 63 bytes$/],
    ],
  },
  {
    name: 'label value',
    check: labelValueProblems,
    good: ['', 'a', 'A_b.c-d', '1', 'a'.repeat(63)],
    bad: [
      ['-a', /^a valid label must be an empty string or/],
      ['a b', /^a valid label must be/],
      ['a/b', /^a valid label must be/],
      ['a'.repeat(64), /^must be no more than 63 bytes$/],
    ],
  },
  {
    name: 'environment variable',
    check: envNameProblems,
    good: ['A', '_', '1', 'a.b-c', 'with space', 'a/b'],
    bad: [
      ['a=b', /printable ASCII characters other than '='/],
      ['ä', /printable ASCII/],
      ['a\n', /printable ASCII/],
    ],
  },
  {
    name: 'domain-prefixed path',
    check: domainPrefixedPathProblems,
    good: ['acme.io/foo', 'a/b/c', 'a/b!c'],
    bad: [
      ['acme.io', /must be a domain-prefixed path/],
      ['/foo', /must be a domain-prefixed path/],
      ['acme.io/', /must be a domain-prefixed path/],
      ['Acme.io/foo', /lowercase RFC 1123 subdomain/],
      ['acme.io/a b', /Invalid path/],
    ],
  },
  {
    name: "handler's name",
    check: handlerNameProblems,
    good: ['resize', 'media/resize.v2', 'A_b', 'a'.repeat(128)],
    bad: [
      ['', /a handler's name must consist/],
      ['resize:v1', /must not have a tag or digest/],
      ['resize@sha256:abc', /must not have a tag or digest/],
      ['re size', /a handler's name must consist/],
      ['/resize', /start and end/],
      ['a'.repeat(129), /^must be no more than 128 bytes$/],
    ],
  },
  {
    name: 'uid',
    check: uidProblems,
    good: ['6f1d2c3b-4a59-4687-9abc-def012345678'],
    bad: [
      ['6F1D2C3B-4A59-4687-9ABC-DEF012345678', /UUID in lower case/],
      ['6f1d2c3b', /UUID/],
    ],
  },
];

describe.each(rules)('$name', ({ check, good, bad }) => {
  test.each(good.map((value) => [value]))('"%s" is good', (value) => {
    expect(check(value)).toEqual([]);
  });

  test.each(bad)('"%s" is not', (value, problem) => {
    expect(check(value)[0]).toMatch(problem);
  });
});
