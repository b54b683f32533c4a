// One list of codes in three places: the native header, src/ and docs/.
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { errorCodes } from '../../src/errors/codes.ts';
import * as errors from '../../src/errors/errors.ts';
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

test('every class in the table exists, and every code is unique', () => {
  for (const [, name] of errorCodes) expect(errors).toHaveProperty(name);
  expect(new Set(errorCodes.map(([code]) => code)).size).toBe(errorCodes.length);
});

test('every code that the API throws stands in the table', () => {
  const listed = new Set<string>(errorCodes.map(([code, name]) => `${name} ${code}`));
  const thrown = ['api', 'decimal', 'errors', 'native', 'wire'].flatMap((room) => {
    const folder = new URL(`../../src/${room}/`, import.meta.url);
    return readdirSync(folder).flatMap((file) =>
      [...readFileSync(new URL(file, folder), 'utf8').matchAll(/new (\w+Error)\(\s*'([A-Z_]+)'/g)].map(
        ([, name, code]) => `${name} ${code}`,
      ),
    );
  });
  expect(thrown.length).toBeGreaterThan(15);
  expect(thrown.filter((code) => !listed.has(code))).toEqual([]);
});

test('names and sentences of reject codes', () => {
  expect(rejectName(34)).toBe('INSUFFICIENT_FUNDS');
  expect(rejectName(9999)).toBe('REJECT_9999');
  expect(rejectSentence('NO_LIQUIDITY')).toBe('a market order found nothing on the other side');
  expect(rejectSentence('REJECT_9999')).toBe('REJECT_9999');
});
