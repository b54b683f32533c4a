// Every bench runs, with counts so small that no figure means anything; what it answers has the form that the printers and the page expect.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { apiBench, apiBenchDefaults } from '../../src/bench/api-bench.ts';
import { busBench } from '../../src/bench/bus-bench.ts';
import { edgeBench } from '../../src/bench/edge-bench.ts';
import { nativeBench } from '../../src/bench/native-program.ts';
import type { BenchCase } from '../../src/bench/result.ts';
import { root } from '../architecture/files.ts';
import { buildMs, expectSound, silent } from './sound.ts';

function kinds(cases: readonly BenchCase[]): string[] {
  return [...new Set(cases.map((one) => String(one.case)))];
}

describe('native programs', () => {
  // The first of them compiles the engine with the benches' flags.
  beforeAll(() => nativeBench('recovery', ['--operations', '4000', '--runs', '1'], silent), buildMs);

  const runs: Readonly<Record<string, readonly string[]>> = {
    core: ['--operations', '2000', '--runs', '1'],
    node: ['--operations', '2000', '--runs', '1', '--rates', '4000,8000'],
    journal: ['--operations', '200'],
    snapshot: ['--orders', '2000', '--rate', '2000', '--runs', '1'],
    recovery: ['--operations', '4000', '--runs', '1'],
    fanout: ['--operations', '2000', '--runs', '1'],
    scale: ['--operations', '1000', '--runs', '1', '--largest', '1000'],
    presets: ['--operations', '1000', '--memory', '64'],
  };

  test.each(Object.keys(runs))(
    '%s answers sound cases',
    async (name) => {
      const result = await nativeBench(name, runs[name]!, silent);
      expectSound(result);
      expect(result.compiler).toMatch(/\d+\.\d+/);
      const { cases } = result;
      if (name === 'core') expect(cases.filter((one) => one.risk === true)).toHaveLength(4);
      if (name === 'node') {
        for (const journal of ['off', 'async', 'durable']) {
          const [whole, closed, ...load] = cases.filter((one) => one.journal === journal);
          expect(whole).toMatchObject({ case: 'whole', plan: 'serial', offeredPerSecond: 200_000 });
          expect(closed).toMatchObject({ case: 'closed', plan: 'serial' });
          expect(load.map((one) => one.offeredPerSecond)).toEqual([4000, 8000].slice(0, load.length));
        }
      }
      if (name === 'recovery') {
        expect(cases.map((one) => one.replayed)).toEqual([4000, 400, 4000, 4000]);
        expect(cases.slice(2).map((one) => one.compared)).toEqual([0, 4000]);
      }
      if (name === 'fanout') {
        expect(cases.map((one) => one.gateways)).toEqual([1, 2, 4, 8]);
        // An order concerns one gateway, a trade at most two.
        for (const one of cases) {
          expect(one.deliveriesPerOrder).toBeGreaterThanOrEqual(1);
          expect(one.deliveriesPerOrder).toBeLessThanOrEqual(1.3);
        }
      }
      if (name === 'scale') expect(kinds(cases)).toEqual(['memory', 'orders', 'accounts', 'instruments']);
      if (name === 'presets') {
        expect(kinds(cases)).toEqual(['single', 'peak', 'medium', 'large', 'huge']);
        expect(cases.map((one) => one.leftOut === 'nothing')).toEqual([true, true, false, false, false]);
      }
    },
    buildMs,
  );

  test(
    'bus answers sound cases of the transports that are everywhere',
    async () => {
      const options = ['--rounds', '50', '--messages', '500', '--runs', '1', '--bytes', '64'];
      const result = await busBench(['shm', 'tcp'], options, silent);
      expectSound(result);
      expect(result.cases.map((one) => `${one.transport} ${one.layer}`)).toEqual([
        'shm bus',
        'shm link',
        'tcp bus',
        'tcp link',
      ]);
      for (const one of result.cases) {
        expect(one).toMatchObject({ bytes: 64, ratio: expect.any(Number), reference: expect.any(String) });
        expect(one.messagesPerSecond).toBeGreaterThan(0);
      }
    },
    buildMs,
  );

  test(
    'ring answers sound cases',
    async () => expectSound(await nativeBench('ring', ['--operations', '3000', '--runs', '1'], silent)),
    buildMs,
  );

  test.each([
    [['--operations', 'many'], 'no whole number'],
    [['--operations'], 'needs a value'],
    [['--speed', '9'], 'there is no option --speed'],
  ])('%j is refused with the usage', (args, sentence) => {
    const { status, stderr, stdout } = spawnSync(join(root, 'build', 'bench', 'recovery_bench'), args, {
      encoding: 'utf8',
    });
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain(sentence);
    expect(stderr).toContain('usage: recovery_bench');
  });
});

test('the API in cells and objects answers every order', async () => {
  const result = await apiBench({
    ...apiBenchDefaults,
    operations: 2000,
    batches: [1, 256],
    runs: 1,
    rate: 20_000,
    say: silent,
  });
  expectSound(result);
  expect(result.cases).toHaveLength(8);
  // Hardly an order is refused: the mix does what it says.
  for (const one of result.cases) expect(one.rejectedShare ?? 0).toBeLessThan(0.1);
});

test('the edges take signed orders and show them on the stream', async () => {
  const result = await edgeBench({
    rates: [50],
    connections: 2,
    seconds: 0.2,
    durability: 'async',
    say: silent,
  });
  expectSound(result);
  expect(kinds(result.cases)).toEqual(['closed', 'load', 'stream']);
}, 60_000);
