// docs/ouch.md has a row for every reject of the core, with the reason that native/gateway/ouch/reasons.h gives it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

function reasonsByCode(): Map<string, number> {
  const numbers = new Map<string, number>();
  for (const [, name, number] of read('native/gateway/ouch/ouch.h').matchAll(
    /^ {4}(\w+) = (0x[0-9a-f]{2}),$/gm,
  )) {
    numbers.set(name!, Number(number));
  }
  const source = read('native/gateway/ouch/reasons.h');
  const chosen = new Map<string, number>();
  for (const [, cases, reason] of source.matchAll(/((?:case [A-Z_]+:\s*)+)return Reason::(\w+);/g)) {
    for (const [, code] of cases!.matchAll(/case ([A-Z_]+):/g)) chosen.set(code!, numbers.get(reason!)!);
  }
  const other = numbers.get('Other')!;
  const codes = [...read('native/wire/reject.h').matchAll(/X\(\d+, ([A-Z_]+),/g)].map(([, code]) => code!);
  return new Map(codes.map((code) => [code, chosen.get(code) ?? other]));
}

test('every reject of the core has its row in docs/ouch.md', () => {
  const table = read('docs/ouch.md').split('\n## Reasons\n')[1]!;
  const documented = new Map<string, number>();
  for (const [, reason, codes] of table.matchAll(/^\| (0x[0-9a-f]{2}) \|[^|]*\| ([^|]*) \|$/gm)) {
    for (const [code] of codes!.matchAll(/[A-Z_]{4,}/g)) {
      expect(documented.has(code), `${code} twice`).toBe(false);
      documented.set(code, Number(reason));
    }
  }
  const reasons = reasonsByCode();
  expect(reasons.size).toBe(58);
  expect([...documented].sort()).toEqual([...reasons].sort());
});
