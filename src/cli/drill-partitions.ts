/** `verbex drill partitions`: the wires of a cluster of its own are cut, in network namespaces, under a client that keeps a ledger. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PartitionResult } from '../cluster/partition-drill.ts';
import type { Command } from './command.ts';
import { onCluster } from './drill-cluster.ts';
import { facts, grouped, table } from './output.ts';
import { Progress } from './progress.ts';

const countMax = 2 ** 32 - 1;

export const drillPartitionsCommand: Command = {
  name: 'drill partitions',
  summary: 'cut the wires between members of a cluster, in every shape, and count what its clients lose',
  options: [
    { name: 'cuts', value: 'N', range: [1, 1_000_000], fallback: '20', help: 'how many times' },
    { name: 'seed', value: 'N', range: [0, countMax], help: 'of what is cut when; default: drawn' },
    { name: 'replicas', value: 'N', range: [3, 31], fallback: '3', help: 'members, all of them hot' },
    {
      name: 'ack',
      value: 'MODE',
      oneOf: ['memory', 'durable'],
      fallback: 'memory',
      help: 'when members acknowledge',
    },
    { name: 'rate', value: 'N', range: [1, 1_000_000], fallback: '1000', help: 'orders a second' },
    { name: 'keep', help: 'leave the folder behind; it stays in any case where something went wrong' },
  ],
  notes: [
    'Members, etcd and the client are processes in network namespaces of their own (root, ip, nft and etcd are needed); nothing outside of them is touched. Shapes: full, isolated leader, asymmetric (the leader is not heard, or hears nobody; a member reaches the control store alone, or does not hear the leader), bridge, flapping, no control store, a leader that is paused, cut and wakes up, and one that is killed while it is cut.',
    'Through all but one of them clients must be served while it is cut. Exit code 1 where anything was lost or done twice, two members led one epoch, or members differ in the end.',
  ],
  examples: [
    ['sudo verbex drill partitions --cuts 24', 'every shape twice, about two minutes'],
    ['sudo verbex drill partitions --cuts 12 --seed 7 --json', 'every shape once, for a program'],
  ],
  async run(given, output) {
    const { inPlace, Places } = await import('../cluster/places.ts');
    const code = await inPlace();
    if (code !== undefined) return code;
    const { LocalCluster } = await import('../cluster/local-cluster.ts');
    const { PartitionDrill, placesOf } = await import('../cluster/partition-drill.ts');
    const { NativeClusterLoad } = await import('../native/binding.ts');
    const seed = given.integer('seed') ?? Math.floor(Math.random() * countMax);
    const cuts = given.integer('cuts') ?? 0;
    const replicas = given.integer('replicas') ?? 3;
    const places = await Places.make(replicas + 1);
    const folder = mkdtempSync(join(tmpdir(), 'verbex-drill-'));
    const cluster = await LocalCluster.make(folder, {
      ...{ replicas, warm: 0, transport: 'tcp', control: 'etcd', places: placesOf(places, replicas) },
      ack: given.need('ack') as 'memory' | 'durable',
    });
    const around = { cluster, seed, keep: given.has('keep'), afterwards: () => places.close() };
    return await onCluster(around, output, async (stopping) => {
      const progress = new Progress(output, 'acknowledged');
      let done = 0;
      const plan = { cuts, seed, ordersPerSecond: given.integer('rate') ?? 0 };
      const drill = new PartitionDrill(NativeClusterLoad, cluster, places, plan, (_, acknowledged) => {
        done += 1;
        progress.show(done / cuts, acknowledged);
      });
      const result = await drill.run(stopping);
      progress.end();
      output.answer({ ...result }, shown(result));
      const { acknowledgedLost, duplicateFills, leadersTwice, membersApart } = result;
      return acknowledgedLost + duplicateFills + leadersTwice + membersApart === 0;
    });
  },
};

function shown(result: PartitionResult): string {
  const { p50, p99, max } = result.silentMs;
  return [
    facts([
      ['cuts', result.cuts],
      ['orders sent', grouped(result.sent)],
      ['acknowledged', grouped(result.acknowledged)],
      ['acknowledged and lost', result.acknowledgedLost],
      ['done twice', result.duplicateFills],
      ['epochs with two leaders', `${result.leadersTwice} of ${result.epochs}`],
      ['members apart in the end', result.membersApart],
      ['sent again', grouped(result.resent)],
      ['without an answer p50 / p99 / max, ms', `${p50} / ${p99} / ${max}`],
      ['seed', result.seed],
    ]),
    '',
    table(
      ['shape', 'times', 'epochs a cut, at most'],
      Object.entries(result.shapes).map(([shape, times]) => [shape, times, result.epochsPerCut[shape] ?? 0]),
    ),
  ].join('\n');
}
