/** `verbex drill failover`: members of a cluster of its own killed and paused at random, under a client that keeps a ledger. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DrillFault, DrillResult } from '../cluster/failover-drill.ts';
import type { Command } from './command.ts';
import { onCluster } from './drill-cluster.ts';
import { facts, grouped, table } from './output.ts';
import { Progress } from './progress.ts';

const countMax = 2 ** 32 - 1;
/** Lengths of time in the histogram, ms; the last column is what lies above. */
const bounds = [50, 100, 200, 300, 500, 1000, 2000];

export const drillFailoverCommand: Command = {
  name: 'drill failover',
  summary: 'kill and pause members of a cluster at random, and count what its clients lose',
  options: [
    { name: 'kills', value: 'N', range: [1, 1_000_000], fallback: '20', help: 'how many members are killed' },
    { name: 'pauses', help: 'members are paused for 300 to 1500 ms too, one for two kills' },
    { name: 'seed', value: 'N', range: [0, countMax], help: 'of what is done to whom; default: drawn' },
    { name: 'replicas', value: 'N', range: [1, 31], fallback: '3', help: 'hot members' },
    { name: 'warm', value: 'N', range: [0, 31], fallback: '1', help: 'warm members' },
    {
      name: 'ack',
      value: 'MODE',
      oneOf: ['memory', 'durable'],
      fallback: 'memory',
      help: 'when members acknowledge',
    },
    {
      name: 'transport',
      value: 'NAME',
      oneOf: ['auto', 'tcp', 'shm', 'verbs'],
      fallback: 'tcp',
      help: 'between all of them',
    },
    { name: 'control', value: 'KIND', oneOf: ['etcd', 'file'], help: 'default: etcd where it is installed' },
    { name: 'rate', value: 'N', range: [1, 1_000_000], fallback: '2000', help: 'orders a second' },
    { name: 'keep', help: 'leave the folder behind; it stays in any case where something was lost' },
  ],
  notes: [
    'The cluster and its folder are the drill’s own. The client sends orders under ids of their own, sends again what was not answered, and remembers every answer. In the end the whole log is read and replayed: what was acknowledged must be in it, and no id may have been taken twice.',
    'failoverMs: the longest time between two acknowledgements around a fault of the leader. Exit code 1 where anything was lost or done twice.',
  ],
  examples: [
    ['verbex drill failover --kills 20 --pauses', 'twenty kills and about ten pauses, a minute or so'],
    ['verbex drill failover --kills 5 --seed 7 --json', 'the same faults again, for a program'],
  ],
  async run(given, output) {
    const { LocalCluster } = await import('../cluster/local-cluster.ts');
    const { FailoverDrill } = await import('../cluster/failover-drill.ts');
    const { NativeClusterLoad } = await import('../native/binding.ts');
    const seed = given.integer('seed') ?? Math.floor(Math.random() * countMax);
    const kills = given.integer('kills') ?? 0;
    const folder = mkdtempSync(join(tmpdir(), 'verbex-drill-'));
    const control = given.text('control') as 'etcd' | 'file' | undefined;
    const cluster = await LocalCluster.make(folder, {
      replicas: given.integer('replicas') ?? 3,
      warm: given.integer('warm') ?? 0,
      ack: given.need('ack') as 'memory' | 'durable',
      transport: given.need('transport') as 'auto',
      ...(control !== undefined && { control }),
    });
    const around = { cluster, seed, keep: given.has('keep') };
    return await onCluster(around, output, async (stopping) => {
      const progress = new Progress(output, 'acknowledged');
      let done = 0;
      const onFault = (fault: DrillFault, acknowledged: number): void => {
        if (fault.kind === 'kill') done += 1;
        progress.show(done / kills, acknowledged);
      };
      const plan = { kills, pauses: given.has('pauses'), seed, ordersPerSecond: given.integer('rate') ?? 0 };
      const result = await new FailoverDrill(NativeClusterLoad, cluster, plan, onFault).run(stopping);
      progress.end();
      const { faults, ...figures } = result;
      output.answer({ ...figures, gapsMs: histogramOf(faults) }, shown(result));
      return result.acknowledgedLost === 0 && result.duplicateFills === 0;
    });
  },
};

/** How many faults kept clients waiting for at most so many ms. */
function histogramOf(faults: readonly DrillFault[]): Record<string, { leader: number; other: number }> {
  const names = [...bounds.map((bound) => `≤${bound}`), `>${bounds.at(-1)}`];
  const counts = Object.fromEntries(names.map((name) => [name, { leader: 0, other: 0 }]));
  for (const { gapMs, led } of faults) {
    const at = bounds.findIndex((bound) => gapMs <= bound);
    counts[names.at(at)!]![led ? 'leader' : 'other'] += 1;
  }
  return counts;
}

function shown(result: DrillResult): string {
  const { failoverMs, followerFaultMs } = result;
  const three = (one: typeof failoverMs): string => `${one.p50} / ${one.p99} / ${one.max}`;
  const rows = Object.entries(histogramOf(result.faults)).map(([bound, { leader, other }]) => [
    `${bound} ms`,
    leader,
    other,
  ]);
  return [
    facts([
      ['kills, pauses', `${result.kills}, ${result.pauses}`],
      ['orders sent', grouped(result.sent)],
      ['acknowledged', grouped(result.acknowledged)],
      ['acknowledged and lost', result.acknowledgedLost],
      ['done twice', result.duplicateFills],
      ['sent again', grouped(result.resent)],
      ['failover p50 / p99 / max, ms', three(failoverMs)],
      ['faults of others, likewise', three(followerFaultMs)],
      ['seed', result.seed],
    ]),
    '',
    table(['no acknowledgement for', 'leader’s faults', 'others’'], rows),
  ].join('\n');
}
