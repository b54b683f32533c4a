import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { catalogue } from '../../src/bench/catalogue.ts';
import { runNative } from '../../src/bench/native-program.ts';
import type { BenchCase, BenchResult } from '../../src/bench/result.ts';
import { answerCases, benchCommand, headlineOf, tableOf } from '../../src/cli/bench.ts';
import { Output } from '../../src/cli/output.ts';
import { verbex } from './command-line.ts';

const folder = mkdtempSync(join(tmpdir(), 'verbex-bench-'));
afterAll(() => rmSync(folder, { recursive: true }));

const one = { name: 'W1k', risk: false, opsPerSecond: 12345678.9, p50Ns: 40, p999Ns: 400, maxNs: 5000 };
const other = { name: 'a node, durable', risk: true, opsPerSecond: 1000, offeredPerSecond: 200000 };

async function measured(script: string): Promise<{ result: BenchResult; said: string[] }> {
  const path = join(folder, 'program');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  const said: string[] = [];
  return { result: await runNative(path, [], (text) => said.push(text)), said };
}

function printed(cases: readonly BenchCase[], how: 'table' | 'csv' | 'json'): string {
  let out = '';
  const write = (text: string): void => {
    out += text;
  };
  const output = new Output({ out: { write }, err: { write: () => undefined } }, how === 'json');
  answerCases({ cases, runs: 5 }, { has: (name) => name === how }, output);
  return out;
}

describe('a native benchmark', () => {
  test('hands on its object, and what it says on the way', async () => {
    const { result, said } = await measured(`echo "W1k …" >&2; echo '${JSON.stringify({ cases: [one] })}'`);
    expect(result).toEqual({ cases: [one] });
    expect(said).toEqual(['W1k …']);
  });

  test('is asked for JSON', async () => {
    const { result } = await measured(`echo "{\\"cases\\":[],\\"asked\\":\\"$*\\"}"`);
    expect(result.asked).toBe('--json');
  });

  test('that fails or says nothing is an error', async () => {
    const failed = { code: 'BENCH_FAILED' };
    await expect(measured('exit 3')).rejects.toMatchObject(failed);
    await expect(measured('echo done')).rejects.toMatchObject(failed);
    await expect(measured('echo "{}"')).rejects.toMatchObject(failed);
    await expect(runNative(join(folder, 'missing'), [], () => undefined)).rejects.toMatchObject(failed);
  });
});

describe('what is printed', () => {
  test('a table for people', () => {
    const text = printed([one, other], 'table');
    expect(text).toMatch(/^case +risk +ops\/s +p50 ns +p99\.9 ns +max ns +offered\/s$/m);
    expect(text).toMatch(/^W1k +false +12345678\.9 +40 +400 +5,000$/m);
    expect(text).toMatch(/^a node, durable +true +1,000 +200,000$/m);
  });

  test('a block a case where a table would be too wide', () => {
    const wide = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`figureNumber${at}Us`, at]));
    const text = tableOf([{ name: 'wide', ...wide }]);
    expect(text).toMatch(/^case +wide$/m);
    expect(text).toMatch(/^figure number19 us +19$/m);
  });

  test('comma-separated values', () => {
    expect(printed([one, other], 'csv').trimEnd().split('\n')).toEqual([
      'case,risk,ops/s,p50 ns,p99.9 ns,max ns,offered/s',
      'W1k,false,12345678.9,40,400,5000,',
      '"a node, durable",true,1000,,,,200000',
    ]);
  });

  test('one object', () => {
    expect(JSON.parse(printed([one], 'json'))).toEqual({ cases: [one], runs: 5 });
  });

  test('two figures where no case is named', () => {
    const text = headlineOf({
      plan: 'serial',
      journal: 'async',
      opsPerSecond: 5012345,
      offeredPerSecond: 200000,
      p99Ns: 43210,
    });
    const [rate, latency, ...more] = text.split('\n');
    expect(rate).toMatch(/^5,012,345 commands\/s .*plan serial, journal async$/);
    expect(latency).toMatch(/^ +43\.2 us .*at 200,000 commands\/s offered/);
    expect(more).toEqual([]);
  });
});

describe('the command line', () => {
  const options = new Set((benchCommand.options ?? []).map(({ name }) => name));

  test.each(catalogue)('$name explains itself with a picture and a workload', async (entry) => {
    const { code, out } = await verbex(['bench', entry.name, '--explain']);
    expect(code).toBe(0);
    expect(out).toContain(`${entry.name}: ${entry.sentence}`);
    expect(out).toMatch(/──▶/);
    expect(out).toContain('Workload. ');
    for (const option of entry.options) expect([...options]).toContain(option);
  });

  test('the help lists every bench', async () => {
    const { out } = await verbex(['bench', '--help']);
    for (const { name, sentence } of catalogue) expect(out).toContain(`${name.padEnd(10)}${sentence}`);
  });

  test.each([
    [['speed'], 'there is no bench "speed"'],
    [['core', '--rate', '5'], 'bench core takes no --rate'],
    [['core', '--case', 'W2k'], 'bench core has no case "W2k"'],
    [['node', '--case', 'snapshotStall'], 'verbex bench snapshot'],
    [['--rate', '5'], '--rate needs a CASE'],
    [['core', '--csv', '--json'], '--csv and --json exclude each other'],
    [['api', '--batches', '1,x'], 'no whole numbers'],
    [['node', '--rates', '0'], 'no whole numbers'],
    [['edges', '--journal', 'off'], 'async or durable'],
    [['journal', '--journal', 'off'], 'async, durable or all'],
  ])('%j is refused', async (args, sentence) => {
    const { code, err } = await verbex(['bench', ...args]);
    expect(err).toContain(sentence);
    expect(code).toBe(2);
  });
});
