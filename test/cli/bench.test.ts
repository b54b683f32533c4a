import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { measure } from '../../src/cli/bench.ts';
import { Output } from '../../src/cli/output.ts';

const folder = mkdtempSync(join(tmpdir(), 'verbex-bench-'));
afterAll(() => rmSync(folder, { recursive: true }));

const one = {
  name: 'W1k',
  risk: false,
  opsPerSecond: 12345678.9,
  p50Ns: 40,
  p99Ns: 90,
  p999Ns: 400,
  maxNs: 5000,
};

async function measured(script: string, json: boolean): Promise<{ out: string; err: string }> {
  const path = join(folder, 'program');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  let [out, err] = ['', ''];
  const keep = (text: string): void => {
    out += text;
  };
  const keepError = (text: string): void => {
    err += text;
  };
  await measure(path, ['--json'], new Output({ out: { write: keep }, err: { write: keepError } }, json));
  return { out, err };
}

describe('bench', () => {
  const script = `echo "W1k …" >&2; echo '${JSON.stringify({ cases: [one] })}'`;

  test('hands on the object of the benchmark, and what it says on the way', async () => {
    const { out, err } = await measured(script, true);
    expect(JSON.parse(out)).toEqual({ cases: [one] });
    expect(err).toBe('W1k …\n');
  });

  test('prints a table for people', async () => {
    expect((await measured(script, false)).out).toMatch(/^W1k +off +12,345,679 +40 +90 +400 +5000$/m);
  });

  test('a benchmark that fails or says nothing is an error', async () => {
    await expect(measured('exit 3', true)).rejects.toMatchObject({ code: 'BENCH_FAILED' });
    await expect(measured('echo done', true)).rejects.toMatchObject({ code: 'BENCH_FAILED' });
    const output = new Output({ out: { write: () => 0 }, err: { write: () => 0 } }, true);
    await expect(measure(join(folder, 'missing'), [], output)).rejects.toMatchObject({
      code: 'BENCH_FAILED',
    });
  });
});
