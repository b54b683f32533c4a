// The benches of several members, roles and clients run, with counts so small that no figure means anything: they wait more than they
// compute, so they have a file of their own beside programs.test.ts.
import { describe, expect, test } from 'vitest';
import { nativeBench } from '../../src/bench/native-program.ts';
import { buildMs, expectSound, silent } from './sound.ts';

describe('native programs of several processes', () => {
  const runs: Readonly<Record<string, readonly string[]>> = {
    cluster: ['--orders', '2000', '--rate', '2000', '--runs', '1', '--transport', 'tcp'],
    roles: ['--orders', '2000', '--runs', '1'],
    sequencer: ['--orders', '4000', '--snapshots', '1000', '--runs', '1'],
    warm: ['--rate', '1000', '--seconds', '1', '--runs', '1', '--processors', 'sleepy'],
  };

  test.each(Object.keys(runs))(
    '%s answers sound cases',
    async (name) => {
      const result = await nativeBench(name, runs[name]!, silent);
      expectSound(result);
      expect(result.compiler).toMatch(/\d+\.\d+/);
      const { cases } = result;
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
      if (name === 'sequencer') {
        expect(cases.map((one) => Number(one.commands) > 900)).toEqual([true, true, true]);
        for (const one of cases) expect(one.takeoverMs).toBeGreaterThan(0);
      }
      if (name === 'roles') {
        const kinds = ['0 threads', '1 threads', '2 threads', '1 processes', '2 processes'];
        const found = cases.map(
          (one) => `${one.shards} ${one.processes === 1 ? 'processes' : 'threads'} ${one.transport}`,
        );
        const wanted = ['tcp', 'shm'].flatMap((transport) => kinds.map((kind) => `${kind} ${transport}`));
        expect(found.toSorted()).toEqual(wanted.toSorted());
      }
    },
    buildMs,
  );

  test(
    'gateway answers every order that was sent, by both kinds of thread',
    async () => {
      const options = ['--connections', '8', '--rate', '2000', '--seconds', '0.5', '--runs', '1'];
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
});
