/** `verbex journal recover`: rebuilds the state beside whatever is running, from either source, and says what came out. */
import type { Command, Given } from './command.ts';
import { folderOf, folderOption, folderPositional, offline, storedLimits } from './offline.ts';
import { facts, grouped, type Output } from './output.ts';

export interface Recovered {
  readonly position: number;
  readonly stateHash: string;
  readonly snapshotPosition: number;
  readonly replayed: number;
  readonly elapsedMs: number;
  readonly commandsPerSecond: number;
  readonly tornBytes: number;
}

export const journalRecoverCommand: Command = {
  name: 'journal recover',
  summary: 'rebuild the state from the journal alone or from snapshot and journal; changes nothing',
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
  ],
  examples: [
    ['verbex journal recover ./data', 'the last state'],
    ['verbex journal recover ./data --source journal --json', 'the same without trusting a snapshot'],
  ],
  run: (given, output) => recoverAndAnswer(given, output),
};

async function recoverAndAnswer(given: Given, output: Output): Promise<number> {
  const folder = folderOf(given);
  const source = given.need('source') === 'journal' ? 'journal' : 'both';
  const text = await recoverFolder(folder, given.integer('at'), source);
  const { position, stateHash, snapshotPosition, replayed, elapsedMs, commandsPerSecond, tornBytes } =
    JSON.parse(text) as Recovered;
  output.answerJson(text, () =>
    facts([
      ['position', grouped(position)],
      ['state hash', stateHash],
      ['from snapshot at', snapshotPosition === 0 ? 'none' : grouped(snapshotPosition)],
      ['commands replayed', grouped(replayed)],
      ['took', `${elapsedMs} ms`],
      ['commands a second', grouped(commandsPerSecond)],
      ['torn bytes at the end', grouped(tornBytes)],
    ]),
  );
  return 0;
}

export function recoverFolder(
  folder: string,
  at: number | undefined,
  source: 'both' | 'journal',
): Promise<string> {
  return offline((native) => native.recover(folder, storedLimits, BigInt(at ?? 0), source));
}
