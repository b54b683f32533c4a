import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { adminSecret, KeyFileError, KeyStore } from '../../src/edges/keys.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'verbex-keys-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('keys are found again after a restart, revoked ones are not', () => {
  const store = new KeyStore(folder);
  const [first, second] = [store.create('alice', 'trade'), store.create('bob', 'read')];
  store.revoke(first.key);
  const again = new KeyStore(folder);
  expect(again.find(first.key)).toBeUndefined();
  expect(again.find(second.key)).toEqual(second);
  expect(again.list()).toEqual([{ key: second.key, account: 'bob', role: 'read', created: second.created }]);
  expect(() => again.revoke(first.key)).toThrow('no such key');
});

test('the files are for their owner only, also when somebody has opened them', () => {
  new KeyStore(folder).create('alice', 'trade');
  adminSecret(folder);
  for (const name of ['keys.json', 'admin.key']) {
    const path = join(folder, name);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    chmodSync(path, 0o644);
  }
  new KeyStore(folder);
  adminSecret(folder);
  for (const name of ['keys.json', 'admin.key'])
    expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
});

test('the admin key is made once', () => {
  const secret = adminSecret(folder);
  expect(secret).toMatch(/^[0-9a-f]{64}$/);
  expect(adminSecret(folder)).toBe(secret);
  expect(adminSecret(undefined)).not.toBe(adminSecret(undefined));
});

test('a damaged file is refused and left as it is', () => {
  const path = join(folder, 'keys.json');
  for (const text of [
    '',
    '{',
    '[]',
    'null',
    '{"version":2,"keys":[]}',
    '{"version":1,"keys":[{"key":"a"}]}',
  ]) {
    writeFileSync(path, text);
    expect(() => new KeyStore(folder), text).toThrow(KeyFileError);
    expect(readFileSync(path, 'utf8')).toBe(text);
  }
  writeFileSync(join(folder, 'admin.key'), 'short\n');
  expect(() => adminSecret(folder)).toThrow(KeyFileError);
});
