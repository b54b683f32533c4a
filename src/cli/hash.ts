/** `verbex hash`: the position and the state hash that a data folder recovers to. */
import type { Command } from './command.ts';
import { type Recovered, recoverFolder } from './journal-recover.ts';
import { folderOf, folderOption, folderPositional } from './offline.ts';

export const hashCommand: Command = {
  name: 'hash',
  summary: 'position and state hash of a data folder',
  positionals: [folderPositional],
  options: [
    folderOption,
    {
      name: 'at',
      value: 'POSITION',
      range: [1, Number.MAX_SAFE_INTEGER],
      help: 'the state after this position',
    },
  ],
  examples: [
    ['verbex hash ./data', 'two folders with the same hash hold the same state'],
    ['verbex hash ./data --at 1000', 'the state as it was after command 1000'],
  ],
  async run(given, output) {
    const text = await recoverFolder(folderOf(given), given.integer('at'), 'both');
    const { position, stateHash } = JSON.parse(text) as Recovered;
    output.answer({ position, stateHash }, `${position} ${stateHash}`);
    return 0;
  },
};
