import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { root } from '../architecture/files.ts';
import { verbex } from './command-line.ts';

const golden = join(root, 'test', 'golden', 'gateway-store', 'v1');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'verbex-audit-'));
  cpSync(golden, folder, { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

test('a message a line, with the position that it led to', async () => {
  const { code, out } = await verbex(['gateway', 'audit', folder]);
  expect(code).toBe(0);
  expect(out.trimEnd().split('\n')).toEqual([
    'day at position 41',
    '2023-11-14T22:13:20.000000000Z  session 7  out  seq 1  S 10 bytes  own, after 41',
    '2023-11-14T22:13:20.000000001Z  session 7  in   ref 5  O 23 bytes  after 41',
    '2023-11-14T22:13:20.000000002Z  session 7  out  seq 2  ref 5  A 17 bytes  position 42.0',
    '2023-11-14T22:13:20.000000003Z  session 300  in   ref 9  O 1 bytes  after 42',
    '2023-11-14T22:13:20.000000004Z  session 300  out  seq 1  ref 9  E 17 bytes  position 43.1',
    '2023-11-14T22:13:20.000000004Z  session 7  out  seq 3  ref 5  E 17 bytes  position 43.1',
    'day at position 44',
    '2023-11-14T22:13:20.000000005Z  session 7  out  seq 1  ref 6  C 17 bytes  position 45.0',
  ]);
});

test('one order of one session, as objects', async () => {
  const { out, json } = await verbex([
    ...['gateway', 'audit', folder, '--session', '7', '--reference', '5', '--json'],
  ]);
  const lines = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
  expect(json).toEqual({ messages: 3 });
  expect(lines.slice(0, -1)).toMatchObject([
    { kind: 'in', session: 7, reference: 5, type: 'O', bytes: 23, position: 41 },
    { kind: 'out', session: 7, sequence: 2, reference: 5, type: 'A', position: 42, index: 0 },
    { kind: 'out', session: 7, sequence: 3, reference: 5, type: 'E', position: 43, index: 1 },
  ]);
});

test('damage is exit code 65 with file and byte, behind what was whole', async () => {
  const file = join(folder, 'messages-00000001');
  const bytes = readFileSync(file);
  bytes.writeUInt8(1, 300);
  writeFileSync(file, bytes);
  const { code, out, err } = await verbex(['gateway', 'audit', folder]);
  expect(code).toBe(65);
  expect(out.trimEnd().split('\n')).toHaveLength(3);
  expect(err).toContain('JOURNAL_DAMAGED');
  expect(err).toContain(`${file}, byte 288`);
});

test('no store is exit code 66; no folder is a usage error', async () => {
  expect((await verbex(['gateway', 'audit', join(folder, 'gone')])).code).toBe(66);
  expect((await verbex(['gateway', 'audit'])).code).toBe(2);
});
