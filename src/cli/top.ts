/** `verbex top`: what the buses of this machine carry, link by link, from the counters that each shows in a file. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type CountersFile, countersFolder, readAllCounters } from '../bus/counters-file.ts';
import { VerbexError } from '../errors/errors.ts';
import type { Command } from './command.ts';
import { grouped, table } from './output.ts';

const intervalRange = [100, 60_000] as const;
const rejectionNames = ['badChecksum', 'badMac', 'staleEpoch', 'replayed', 'oversized'];

export interface LinkRow {
  readonly peer: string;
  readonly id: number;
  readonly transport: string;
  readonly epoch: number;
  readonly messagesOutPerSecond: number;
  readonly bytesOutPerSecond: number;
  readonly messagesInPerSecond: number;
  readonly bytesInPerSecond: number;
  readonly backPressuredPerSecond: number;
  /** Frames that were not taken, since the link began. */
  readonly rejected: number;
  readonly roundTripNs: number;
  /** Bytes that the peer has not consumed. */
  readonly unconsumed: number;
}

export interface BusRow {
  readonly pid: number;
  readonly name: string;
  readonly publishedPerSecond: number;
  readonly deliveredPerSecond: number;
  readonly links: readonly LinkRow[];
  readonly bus: Readonly<Record<string, number>>;
  readonly network: Readonly<Record<string, number>>;
}

export const topCommand: Command = {
  name: 'top',
  summary: 'show what the buses of this machine carry, link by link',
  options: [
    { name: 'pid', value: 'N', range: [1, 2 ** 22], help: 'of that process only' },
    { name: 'once', help: 'one table, then end; the default where standard output is no terminal' },
    {
      name: 'interval',
      value: 'MS',
      range: intervalRange,
      fallback: '1000',
      help: 'between two looks; rates are what happened in between',
    },
    { name: 'folder', value: 'DIR', fallback: countersFolder, help: 'where the counters lie' },
  ],
  notes: ['Reads files, asks nobody: the buses do not notice. Ctrl-C ends it.'],
  examples: [
    ['verbex top', 'every bus of this user, again and again'],
    ['verbex top --once --json | tail -1', 'the same for a program, once'],
  ],
  async run(given, output) {
    const folder = given.need('folder');
    const pid = given.integer('pid');
    const intervalMs = given.integer('interval') ?? 1000;
    const look = (): CountersFile[] =>
      readAllCounters(folder).filter((file) => pid === undefined || file.pid === pid);
    let before = look();
    if (pid !== undefined && before.length === 0)
      throw new VerbexError('NOT_FOUND', `process ${pid} shows no counters of a bus in ${folder}`);
    const once = given.has('once') || output.json || process.stdout.isTTY !== true;
    const stopped = new AbortController();
    const stop = (): void => stopped.abort();
    if (!once) process.once('SIGINT', stop);
    do {
      if (before.length > 0 || !once)
        await sleep(intervalMs, undefined, { signal: stopped.signal }).catch(() => undefined);
      const after = look();
      const rows = busRows(before, after);
      before = after;
      const text = rows.length === 0 ? `no bus runs here: ${folder} holds no counters` : topText(rows);
      if (once) output.answer({ buses: rows }, text);
      else await output.lines(`\x1b[H\x1b[2J${text}\n`);
    } while (!once && !stopped.signal.aborted);
    process.off('SIGINT', stop);
    return 0;
  },
};

/** What has happened between two looks. */
export function busRows(before: readonly CountersFile[], after: readonly CountersFile[]): BusRow[] {
  return after.map((file) => {
    const earlier = before.find(({ path, pid }) => path === file.path && pid === file.pid);
    const seconds = earlier === undefined ? 0 : Number(file.updatedNs - earlier.updatedNs) / 1e9;
    const rate = (label: string): number => {
      const grown = (file.values.get(label) ?? 0) - (earlier?.values.get(label) ?? 0);
      // A link that was made anew begins at 0 again.
      return seconds > 0 && grown > 0 ? grown / seconds : 0;
    };
    return {
      pid: file.pid,
      name: file.name,
      publishedPerSecond: rate('bus/published'),
      deliveredPerSecond: rate('bus/delivered'),
      links: linkRows(file, rate),
      bus: group(file, 'bus/'),
      network: group(file, 'network/'),
    };
  });
}

function linkRows(file: CountersFile, rate: (label: string) => number): LinkRow[] {
  const links = new Map<string, { id: number; transport: string; peer: string }>();
  for (const label of file.values.keys()) {
    const match = /^link\/(\d+)\/(\w+)\/\w+\/(.*)$/s.exec(label);
    if (match !== null)
      links.set(`${match[1]}/${match[2]}`, { id: Number(match[1]), transport: match[2]!, peer: match[3]! });
  }
  return [...links.values()]
    .sort((a, b) => a.id - b.id)
    .map(({ id, transport, peer }) => {
      const label = (counter: string): string => `link/${id}/${transport}/${counter}/${peer}`;
      const value = (counter: string): number => file.values.get(label(counter)) ?? 0;
      return {
        peer,
        id,
        transport,
        epoch: value('epoch'),
        messagesOutPerSecond: rate(label('framesSent')),
        bytesOutPerSecond: rate(label('bytesSent')),
        messagesInPerSecond: rate(label('framesReceived')),
        bytesInPerSecond: rate(label('bytesReceived')),
        backPressuredPerSecond: rate(label('backPressured')),
        rejected: rejectionNames.reduce((sum, name) => sum + value(name), 0),
        roundTripNs: value('roundTripNs'),
        unconsumed: value('unconsumed'),
      };
    });
}

function group(file: CountersFile, prefix: string): Record<string, number> {
  return Object.fromEntries(
    [...file.values]
      .filter(([label]) => label.startsWith(prefix))
      .map(([label, value]) => [label.slice(prefix.length), value]),
  );
}

export function topText(rows: readonly BusRow[]): string {
  return rows
    .map(({ pid, name, publishedPerSecond, deliveredPerSecond, links, bus, network }) =>
      [
        `${name}, process ${pid}: ${grouped(publishedPerSecond)} published/s, ${grouped(deliveredPerSecond)} delivered/s`,
        `  cut off ${grouped(bus.cutOff ?? 0)}, resumed ${grouped(bus.resumed ?? 0)}, peers lost ${grouped(bus.peersLost ?? 0)}` +
          `; set-ups ${grouped(network.established ?? 0)}, refused ${grouped(network.refused ?? 0)}`,
        links.length === 0
          ? '  no links'
          : table(
              [
                ...['peer', 'transport', 'epoch', 'out/s', 'out bytes/s', 'in/s', 'in bytes/s'],
                ...['pressed/s', 'rejected', 'unread bytes', 'round trip µs'],
              ],
              links.map((link) => [
                link.peer,
                link.transport,
                link.epoch,
                grouped(link.messagesOutPerSecond),
                grouped(link.bytesOutPerSecond),
                grouped(link.messagesInPerSecond),
                grouped(link.bytesInPerSecond),
                grouped(link.backPressuredPerSecond),
                grouped(link.rejected),
                grouped(link.unconsumed),
                (link.roundTripNs / 1000).toFixed(1),
              ]),
            ),
      ].join('\n'),
    )
    .join('\n\n');
}
