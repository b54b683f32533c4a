import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { LineReader, packingOf } from '../../src/replay/lines.ts';

const folder = mkdtempSync(join(tmpdir(), 'verbex-lines-'));
afterAll(() => rmSync(folder, { recursive: true }));

const text = 'one\ntwo\r\nthree';
// `printf 'one\ntwo\r\nthree' | xz`
const xz = Buffer.from(
  '/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQANb25lCnR3bw0KdGhyZWUAAAAK/gnB+XsA+AABJg4IG+AEH7bzfQEAAAAABFla',
  'base64',
);

async function linesOf(name: string, bytes: Uint8Array | string): Promise<string[]> {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  const lines: string[] = [];
  for await (const batch of new LineReader(path).batches()) lines.push(...batch);
  return lines;
}

describe('lines', () => {
  test.each([
    ['plain', text],
    ['gzip', gzipSync(text)],
    ['xz', xz],
  ])('%s gives the same lines, whatever the file is called', async (name, bytes) => {
    expect(await linesOf(`${name}.txt`, bytes)).toEqual(['one', 'two', 'three']);
  });

  test('lines that span chunks stay whole, and letters that span chunks too', async () => {
    const line = 'ä'.repeat(200_001);
    const lines = await linesOf('long.txt', `${line}\n${line}\n`);
    expect(lines.map((one) => one.length)).toEqual([200_001, 200_001]);
    expect(lines[1]).toBe(line);
  });

  test('empty lines are kept, an end of line at the end adds none', async () => {
    expect(await linesOf('empty.txt', 'a\n\nb\n')).toEqual(['a', '', 'b']);
    expect(await linesOf('nothing.txt', '')).toEqual([]);
  });

  test('a file that ends too early or is not there is an error, not an end', async () => {
    await expect(linesOf('torn.xz', xz.subarray(0, xz.length - 20))).rejects.toMatchObject({
      code: 'REPLAY_FILE_UNREADABLE',
    });
    await expect(linesOf('torn.gz', gzipSync(text).subarray(0, 20))).rejects.toMatchObject({
      code: 'REPLAY_FILE_UNREADABLE',
    });
    const missing = new LineReader(join(folder, 'missing')).batches();
    await expect(missing.next()).rejects.toMatchObject({ code: 'REPLAY_FILE_UNREADABLE' });
  });

  test('packings are told by their first bytes', () => {
    expect(packingOf(xz)).toBe('xz');
    expect(packingOf(gzipSync(''))).toBe('gzip');
    expect(packingOf(new Uint8Array())).toBe('plain');
  });
});
