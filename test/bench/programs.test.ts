// Every bench runs, with counts so small that no figure means anything; what it answers has the form that the printers and the page expect.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { apiBench, apiBenchDefaults } from '../../src/bench/api-bench.ts';
import { busBench } from '../../src/bench/bus-bench.ts';
import { edgeBench } from '../../src/bench/edge-bench.ts';
import { nativeBench } from '../../src/bench/native-program.ts';
import { type BenchCase, type BenchResult, csvOf } from '../../src/bench/result.ts';
import { root } from '../architecture/files.ts';

const silent = (): void => undefined;
const buildMs = 10 * 60_000;

/** The percentiles rise, rates are above 0, and nothing is NaN. */
function expectSound({ cases }: BenchResult): void {
  expect(cases.length).toBeGreaterThan(0);
  for (const one of cases) {
    expect(String(one.name).length).toBeGreaterThan(0);
    for (const [field, value] of Object.entries(one)) {
      if (typeof value === 'number') expect(value, field).toBeGreaterThanOrEqual(0);
    }
    const order = ['p50Ns', 'p90Ns', 'p99Ns', 'p999Ns', 'p9999Ns', 'maxNs']
      .map((field) => one[field])
      .filter((value) => value !== undefined);
    expect(order).toEqual(order.toSorted((a, b) => Number(a) - Number(b)));
    if (one.opsPerSecond !== undefined) expect(one.opsPerSecond).toBeGreaterThan(0);
  }
  expect(csvOf(cases).split('\n')).toHaveLength(cases.length + 1);
}

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
    cluster: ['--orders', '2000', '--rate', '2000', '--runs', '1', '--transport', 'tcp'],
    roles: ['--orders', '2000', '--runs', '1'],
    warm: ['--rate', '1000', '--seconds', '1', '--runs', '1'],
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
      if (name === 'cluster') {
        expect(cases.map((one) => `${one.members} ${one.acknowledge}`)).toEqual([
          ...['1 memory', '2 memory', '3 memory'],
          ...['1 durable', '2 durable', '3 durable'],
        ]);
      }
      if (name === 'warm') {
        expect(cases.map((one) => one.name)).toEqual(
          ['here', 'stopped', 'coming back', 'here again'].map((where) => `warm member ${where}`),
        );
        expect(cases[0]).toMatchObject({ p50OfHere: 1, p99OfHere: 1 });
        expect(result.replacedMs).toBeGreaterThan(0);
      }
      if (name === 'roles') {
        expect(cases.map((one) => `${one.shards} ${one.transport}`)).toEqual([
          ...['0 tcp', '1 tcp', '2 tcp'],
          ...['0 shm', '1 shm', '2 shm'],
        ]);
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
    'gateway answers every order that was sent, by both kinds of thread',
    async () => {
      const options = ['--connections', '8', '--rate', '2000', '--seconds', '0.3', '--runs', '1'];
      const result = await nativeBench('gateway', options, silent);
      expectSound(result);
      expect(result.cases.map((one) => `${one.name} ${one.wait} ${one.thread}`)).toEqual([
        'saturated busy shared',
        'saturated sleeping own',
        'at a rate busy shared',
        'half of them stalled busy shared',
        'at a rate sleeping shared',
        'at a rate sleeping own',
      ]);
      for (const one of result.cases) {
        expect(one).toMatchObject({ connections: 8, unanswered: 0 });
        for (const figure of ['ordersPerSecond', 'p50Us', 'maxUs', 'echoP50Us', 'syscallsPerOrder'])
          expect(one[figure], figure).toBeGreaterThanOrEqual(0);
      }
      // A case this short may fall into a pause of a busy machine; not all of them.
      expect(result.cases.some((one) => Number(one.ordersPerSecond) > 0)).toBe(true);
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
