// One list of codes in three places: the native header, src/ and docs/.
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { errorCodes } from '../../src/errors/codes.ts';
import * as errors from '../../src/errors/errors.ts';
import { exitCodeOf, exitCodes } from '../../src/errors/exit-codes.ts';
import { rejectName, rejectSentence, rejects } from '../../src/wire/rejects.ts';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

test('the reject codes are those of the native header', () => {
  const rows = [...read('native/wire/reject.h').matchAll(/X\((\d+), (\w+), "([^"]*)"\)/g)];
  expect(rows.map(([, number, name, sentence]) => [Number(number), name, sentence])).toEqual(rejects);
});

test('docs/reject-codes.md lists the reject codes', () => {
  const rows = [...read('docs/reject-codes.md').matchAll(/^\| (\d+) \| `(\w+)` \| (.*) \|$/gm)];
  expect(rows.map(([, number, name, sentence]) => [Number(number), name, sentence])).toEqual(rejects);
});

test('docs/errors.md lists the error codes', () => {
  const rows = [...read('docs/errors.md').matchAll(/^\| `(\w+)` \| `(\w+)` \| (.*) \|$/gm)];
  expect(rows.map(([, code, name, sentence]) => [code, name, sentence])).toEqual(errorCodes);
});

const sources = readdirSync(new URL('../../src/', import.meta.url), { recursive: true, encoding: 'utf8' })
  .filter(
    (file) => file.endsWith('.ts') && !file.endsWith('errors/codes.ts') && !file.endsWith('wire/rejects.ts'),
  )
  .map((file) => read(`src/${file}`));
const native = ['base/status.h', 'node/failure.h'].map((file) => read(`native/${file}`));
const nativeSources = ['addon', 'node'].flatMap((room) =>
  readdirSync(new URL(`../../native/${room}/`, import.meta.url)).map((file) =>
    read(`native/${room}/${file}`),
  ),
);

/** Whatever stands where an error's code stands. */
function thrownBySources(): [name: string, code: string][] {
  return sources.flatMap((text) => [
    ...[...text.matchAll(/new (\w+Error)\(\s*(?:\d+,\s*)?'([A-Z][A-Z0-9_]+)'/g)].map(
      ([, name, code]): [string, string] => [name!, code!],
    ),
    ...[...text.matchAll(/class (\w+Error) extends[^{]*\{[^}]*?super\(\s*'([A-Z][A-Z0-9_]+)'/g)].map(
      ([, name, code]): [string, string] => [name!, code!],
    ),
    // A row of statuses and codes.
    ...[...text.matchAll(/\[\d{3}, '([A-Z][A-Z0-9_]+)'/g)].map(([, code]): [string, string] => [
      'RequestError',
      code!,
    ]),
    ...[...text.matchAll(/\bunknown\('([A-Z][A-Z0-9_]+)'/g)].map(([, code]): [string, string] => [
      'UnknownNameError',
      code!,
    ]),
  ]);
}

function thrownByTheEngine(): string[] {
  const [status = '', failure = ''] = native;
  return [
    ...[...status.matchAll(/return "([A-Z_]+)";/g)].map(([, code]) => code!),
    ...[...failure.matchAll(/kCode\w+ = "([A-Z_]+)"/g)].map(([, code]) => code!),
    ...nativeSources.flatMap((text) =>
      [
        ...text.matchAll(/(?:Failure\(|return \{)\s*"([A-Z][A-Z_]+)"/g),
        ...text.matchAll(/throwFailure\("([A-Z_]+)"/g),
      ].map(([, code]) => code!),
    ),
  ].filter((code) => code !== 'OK' && code !== 'UNKNOWN');
}

test('every class in the table exists, and every code is unique', () => {
  const all = sources.join('\n');
  for (const [, name] of errorCodes) {
    if (name !== 'Error') expect(all).toMatch(new RegExp(`export class ${name}\\b`));
  }
  for (const name of Object.keys(errors).filter((one) => one.endsWith('Error'))) {
    // A RejectError carries a code of the core.
    if (!['RejectError'].includes(name)) expect(errorCodes.map(([, listed]) => listed)).toContain(name);
  }
  expect(new Set(errorCodes.map(([code]) => code)).size).toBe(errorCodes.length);
});

test('every code that src/ throws stands in the table', () => {
  const listed = new Map<string, string>(errorCodes.map(([code, name]) => [code, name]));
  const ofTheCore = new Set<string>(rejects.map(([, name]) => name));
  const thrown = thrownBySources();
  expect(thrown.length).toBeGreaterThan(80);
  for (const [name, code] of thrown) {
    if (ofTheCore.has(code) && !listed.has(code)) continue;
    expect(listed.has(code), `${code} of ${name}`).toBe(true);
    // The edges and the command line hand codes of the API on as errors of their own.
    if (name !== 'RequestError' && name !== 'VerbexError')
      expect(`${code} ${listed.get(code)}`).toBe(`${code} ${name}`);
  }
});

test('every code of the engine and the addon stands in the table', () => {
  const listed = new Set<string>(errorCodes.map(([code]) => code));
  const codes = thrownByTheEngine();
  expect(codes.length).toBeGreaterThan(20);
  expect(codes.filter((code) => !listed.has(code))).toEqual([]);
});

test('nothing stands in the table that nobody gives', () => {
  const given = new Set([...thrownBySources().map(([, code]) => code), ...thrownByTheEngine()]);
  const printed = sources.join('\n');
  expect(
    errorCodes.map(([code]) => code).filter((code) => !given.has(code) && !printed.includes(`'${code}'`)),
  ).toEqual([]);
});

test('exit codes: one list, printed by two documents', () => {
  const rows = exitCodes.map(([exit, meaning, codes]) => [
    String(exit),
    meaning,
    codes.map((code) => `\`${code}\``).join(', '),
  ]);
  const inCli = [...read('docs/cli.md').matchAll(/^\| (\d+) \| ([^|]+?) \| ([^|]*?) ?\|$/gm)];
  expect(inCli.map(([, exit, meaning, codes]) => [exit, meaning, codes])).toEqual(rows);
  const inOperations = [...read('docs/operations.md').matchAll(/^\| (\d+) \| ([^|]+?) \|$/gm)];
  expect(inOperations.map(([, exit, meaning]) => [exit, meaning])).toEqual(
    rows.map(([exit, meaning]) => [exit, meaning]),
  );
  // Ours, or those of system calls.
  const listed = new Set<string>(errorCodes.map(([code]) => code));
  for (const [, , codes] of exitCodes) {
    for (const code of codes) expect(listed.has(code) || /^E[A-Z]+$/.test(code), code).toBe(true);
  }
  expect(exitCodeOf({ code: 'EADDRINUSE' })).toBe(71);
  expect(exitCodeOf(undefined)).toBe(1);
});

test('names and sentences of reject codes', () => {
  expect(rejectName(34)).toBe('INSUFFICIENT_FUNDS');
  expect(rejectName(9999)).toBe('REJECT_9999');
  expect(rejectSentence('NO_LIQUIDITY')).toBe('a market order found nothing on the other side');
  expect(rejectSentence('REJECT_9999')).toBe('REJECT_9999');
});
