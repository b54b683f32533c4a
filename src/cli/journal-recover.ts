/** `verbex journal recover`: rebuilds the state beside whatever is running, and says what came out; or a data folder anew, from elsewhere. */
import { readdirSync, statSync } from 'node:fs';
import type { LimitsDescription } from '../cluster/description.ts';
import { VerbexError } from '../errors/errors.ts';
import { type Command, type Given, UsageError } from './command.ts';
import { folderOf, folderOption, folderPositional, offline, storedLimits } from './offline.ts';
import { facts, grouped, type Output, table } from './output.ts';

export interface Recovered {
  readonly position: number;
  readonly stateHash: string;
  readonly snapshotPosition: number;
  /** From where the folder was recovered a second time, for comparison: 0: from the first command. */
  readonly oldestPosition: number;
  readonly replayed: number;
  readonly elapsedMs: number;
  readonly commandsPerSecond: number;
  readonly tornBytes: number;
  readonly refusedSnapshots: readonly string[];
}

interface RecoveredFrom {
  readonly position: number;
  readonly stateHash: string;
  /** Behind which the journal that was made begins; 0: with the first command. */
  readonly snapshotPosition: number;
  readonly replayed: number;
  readonly compared: number;
  readonly comparedStates: number;
  readonly refusedSnapshots: readonly string[];
  readonly elapsedMs: number;
  readonly commandsPerSecond: number;
  readonly sources: readonly {
    readonly from: string;
    readonly firstPosition: number;
    readonly lastPosition: number;
    readonly tornBytes: number;
  }[];
}

const countMax = 2 ** 32 - 1;
/** What a recovery that did not come to its end may have left. */
const leftovers: ReadonlySet<string> = new Set([
  'lock',
  'journal.recovering',
  'snapshots.recovering',
  'fetched-1.recovering',
  'fetched-2.recovering',
  'facts',
  'facts.tmp',
]);
/** A host, or an address of IPv6 in brackets, and a port. */
const memberAddress = /^(\[[0-9A-Fa-f:.]+\]|[^:/\\]+):\d{1,5}$/;

export const journalRecoverCommand: Command = {
  name: 'journal recover',
  summary: 'rebuild the state from journal or snapshot, changing nothing; --from makes a folder anew',
  positionals: [folderPositional],
  options: [
    folderOption,
    {
      name: 'source',
      value: 'SOURCE',
      oneOf: ['both', 'journal'],
      fallback: 'both',
      help: 'newest snapshot and what follows it, or every command from the first',
    },
    { name: 'at', value: 'POSITION', range: [1, Number.MAX_SAFE_INTEGER], help: 'stop after this position' },
    {
      name: 'from',
      value: 'DIR|HOST:PORT',
      most: 2,
      help: 'make DIR anew from this folder or member; given twice, the two must agree',
    },
    {
      name: 'cluster',
      value: 'FILE',
      help: 'with --from: the cluster.json of the member that it names: name, key and limits',
    },
    {
      name: 'max-orders',
      value: 'N',
      range: [1, countMax],
      help: 'with --from: open orders, where no source says what its folder was created with',
    },
    { name: 'max-accounts', value: 'N', range: [1, countMax], help: 'accounts; likewise' },
    { name: 'max-instruments', value: 'N', range: [1, countMax], help: 'instruments; likewise' },
    { name: 'max-client-ids', value: 'N', range: [1, countMax], help: 'remembered order ids; likewise' },
  ],
  notes: [
    'Where a journal was pruned, the newest state is compared with what the oldest snapshot and the journal behind it give.',
    "With --from nothing of DIR is read: it must not exist, or be empty, and gets a journal of its own. A source is another data folder (a node's or a member's), a folder of journal segments, or a running member of a cluster. Sources are read only.",
    'Two sources are compared position by position, epoch and command, as far as both reach; the longer one counts behind that. Where they differ nothing is made: RECOVERY_SOURCES_DIFFER says at which position, and --at stops before it.',
    'A source that was pruned, a running member too, gives its oldest snapshot that its log follows on, and that log. Snapshots of both are compared by hash with the state at their positions. Two that have nothing in common are refused: RECOVERY_SOURCES_APART.',
  ],
  examples: [
    ['verbex journal recover ./data', 'the last state'],
    ['verbex journal recover ./data --source journal --json', 'the same without trusting a snapshot'],
    ['verbex journal recover --from /mnt/old/data --data ./data', 'a folder anew, from a journal elsewhere'],
    [
      'verbex journal recover --from 10.0.0.2:7100 --from /mnt/old/data --cluster cluster.json --data ./data',
      'from two that must agree',
    ],
  ],
  run: (given, output) =>
    given.all('from').length === 0 ? recoverAndAnswer(given, output) : recoverFromSources(given, output),
};

async function recoverAndAnswer(given: Given, output: Output): Promise<number> {
  const folder = folderOf(given);
  const source = given.need('source') === 'journal' ? 'journal' : 'both';
  const text = await recoverFolder(folder, given.integer('at'), source);
  const recovered = JSON.parse(text) as Recovered;
  const { position, stateHash, snapshotPosition, oldestPosition, replayed } = recovered;
  const { elapsedMs, commandsPerSecond, tornBytes } = recovered;
  output.answerJson(text, () =>
    facts([
      ['position', grouped(position)],
      ['state hash', stateHash],
      ['from snapshot at', snapshotPosition === 0 ? 'none' : grouped(snapshotPosition)],
      ...(oldestPosition === 0 ? [] : [['compared from', `snapshot at ${grouped(oldestPosition)}`] as const]),
      ['commands replayed', grouped(replayed)],
      ['took', `${elapsedMs} ms`],
      ['commands a second', grouped(commandsPerSecond)],
      ['torn bytes at the end', grouped(tornBytes)],
    ]),
  );
  return 0;
}

async function recoverFromSources(given: Given, output: Output): Promise<number> {
  const folder = given.positionals[0] ?? given.need('data');
  const [first, second] = given.all('from').map(sourceOf);
  if (first === undefined) throw new UsageError('--from is missing');
  requireEmpty(folder);
  const cluster = await clusterOf(given.text('cluster'));
  const limits = {
    maxOrders: given.integer('max-orders') ?? cluster.limits.maxOrders ?? 0,
    maxAccounts: given.integer('max-accounts') ?? cluster.limits.maxAccounts ?? 0,
    maxInstruments: given.integer('max-instruments') ?? cluster.limits.maxInstruments ?? 0,
    maxClientIds: given.integer('max-client-ids') ?? cluster.limits.maxClientIds ?? 0,
  };
  const sources = { first, ...(second !== undefined && { second }), ...cluster.reached };
  const text = await offline((native) =>
    native.recoverFrom(sources, folder, limits, BigInt(given.integer('at') ?? 0)),
  );
  const recovered = JSON.parse(text) as RecoveredFrom;
  output.answerJson(text, () =>
    [
      facts([
        ['made', folder],
        ['position', grouped(recovered.position)],
        ['state hash', recovered.stateHash],
        ['from snapshot at', recovered.snapshotPosition === 0 ? 'none' : grouped(recovered.snapshotPosition)],
        ['positions compared', second === undefined ? 'none: one source' : grouped(recovered.compared)],
        ...(second === undefined ? [] : [['states compared', grouped(recovered.comparedStates)] as const]),
        ['took', `${recovered.elapsedMs} ms`],
        ['commands a second', grouped(recovered.commandsPerSecond)],
      ]),
      '',
      table(
        ['source', 'first', 'last', 'torn bytes'],
        recovered.sources.map(({ from, firstPosition, lastPosition, tornBytes }) => [
          from,
          grouped(firstPosition),
          grouped(lastPosition),
          grouped(tornBytes),
        ]),
      ),
      ...recovered.refusedSnapshots.map((line) => `damaged, and not used: ${line}`),
    ].join('\n'),
  );
  return 0;
}

/** How to reach a member, and what it was given. */
async function clusterOf(file: string | undefined): Promise<{
  readonly reached: { readonly cluster?: string; readonly key?: string };
  readonly limits: LimitsDescription;
}> {
  if (file === undefined) return { reached: {}, limits: {} };
  const { readDescription } = await import('../cluster/description.ts');
  const { keyOf } = await import('../cluster/member-process.ts');
  const description = readDescription(file);
  const key = keyOf(description);
  return {
    reached: { cluster: description.name, ...(key !== undefined && { key }) },
    limits: description.limits,
  };
}

function sourceOf(text: string): string {
  if (statSync(text, { throwIfNoEntry: false })?.isDirectory() === true) return `dir:${text}`;
  if (memberAddress.test(text)) return `member:${text}`;
  throw new VerbexError('NO_DATA_DIRECTORY', `${text} is neither a folder nor HOST:PORT`);
}

function requireEmpty(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) return;
  if (readdirSync(folder).some((name) => !leftovers.has(name)))
    throw new UsageError(`${folder} is not empty: --from makes a folder that does not exist yet`);
}

export function recoverFolder(
  folder: string,
  at: number | undefined,
  source: 'both' | 'journal',
): Promise<string> {
  return offline((native) => native.recover(folder, storedLimits, BigInt(at ?? 0), source));
}
