/** `verbex journal dump`: commands as they lie in the journal, one JSON object a line. */
import { Cells } from '../wire/cells.ts';
import { type RawCommand, readCommand } from '../wire/command-reader.ts';
import { cellBytes } from '../wire/layout.ts';
import type { Command } from './command.ts';
import { readExplained } from './explained.ts';
import { folderOf, folderOption, folderPositional, offline, storedLimits } from './offline.ts';
import { jsonText } from './output.ts';

const commandsARead = 4096;

interface Names {
  readonly accounts: ReadonlyMap<number, string>;
  readonly instruments: ReadonlyMap<number, string>;
  readonly assets: ReadonlyMap<number, string>;
}

export const journalDumpCommand: Command = {
  name: 'journal dump',
  summary: 'print commands of a journal readably, one JSON object a line',
  positionals: [folderPositional],
  options: [
    folderOption,
    {
      name: 'from',
      value: 'POSITION',
      range: [1, Number.MAX_SAFE_INTEGER],
      fallback: '1',
      help: 'the first command',
    },
    {
      name: 'count',
      value: 'N',
      range: [1, Number.MAX_SAFE_INTEGER],
      help: 'at most so many; all where left out',
    },
    { name: 'names', help: 'add the names of accounts, instruments and assets (recovers the state first)' },
  ],
  notes: [
    'Prices are ticks, quantities lots, amounts smallest units; fields that are zero are left out. With --json the last line says how many were printed.',
  ],
  examples: [
    ['verbex journal dump ./data --from 1000 --count 20', 'twenty commands from position 1000 on'],
    ['verbex journal dump ./data --names | grep \'"withdraw"\'', 'every withdrawal, with names'],
  ],
  async run(given, output) {
    const folder = folderOf(given);
    const names = given.has('names') ? await namesOf(folder) : undefined;
    const first = BigInt(given.integer('from') ?? 1);
    const most = given.integer('count') ?? Number.POSITIVE_INFINITY;
    let next = first;
    let printed = 0;
    while (printed < most) {
      const wanted = Math.min(commandsARead, most - printed);
      const from = next;
      const read = await offline((native) => native.journalRead(folder, from, wanted));
      const count = Math.min(wanted, read.commands.byteLength / cellBytes);
      if (count === 0) break;
      const cells = Cells.over(read.commands);
      let text = '';
      for (let cell = 0; cell < count; cell += 1) {
        const position = read.positions[cell] ?? from + BigInt(cell);
        const command = readCommand(cells, cell);
        text += `${jsonText({ position, ...command, ...(names === undefined ? {} : named(command, names)) })}\n`;
        next = position + 1n;
      }
      await output.lines(text);
      printed += count;
    }
    if (output.json) output.answer({ from: first, printed, next }, '');
    return 0;
  },
};

async function namesOf(folder: string): Promise<Names> {
  const text = await offline((native) => native.explainAt(folder, storedLimits, 0n));
  const { accounts, instruments, assets } = readExplained(text);
  const byId = (list: readonly { id: number; name: string }[]): Map<number, string> =>
    new Map(list.map(({ id, name }) => [id, name]));
  return { accounts: byId(accounts), instruments: byId(instruments), assets: byId(assets) };
}

function named(command: RawCommand, names: Names): Record<string, string> {
  const found: Record<string, string> = {};
  const put = (field: string, of: ReadonlyMap<number, string>): void => {
    const name = of.get(Number(command[field] ?? 0));
    if (command[field] !== undefined && name !== undefined) found[`${field}Name`] = name;
  };
  put('account', names.accounts);
  put('toAccount', names.accounts);
  put('instrument', names.instruments);
  if (command.type === 'deposit' || command.type === 'withdraw' || command.type === 'transfer')
    put('subject', names.assets);
  return found;
}
