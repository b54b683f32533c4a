import { expect, test } from 'vitest';
import { verbex } from './command-line.ts';

test('a second of host-check finds nothing wrong and names the machine', async () => {
  const { code, json } = await verbex(['host-check', '--fenv', '1', '--threads', '3', '--json']);
  expect(code).toBe(0);
  expect(json).toMatchObject({ seconds: 1, threads: 3, wrong: 0, host: { floatingEnvironment: '0x0' } });
  expect(Number(json.checks)).toBeGreaterThan(10_000);
  expect(Number(json.signals)).toBeGreaterThan(100);
  expect(json).not.toHaveProperty('first');
  for (const name of ['processor', 'microcode', 'kernel'])
    expect((json.host as Record<string, string>)[name]).toMatch(/./);
});
