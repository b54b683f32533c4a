/** The addon's functions on a data folder that no node runs on: they read only. Loaded when a command needs them. */
import { statSync } from 'node:fs';
import { fromNative, VerbexError } from '../errors/errors.ts';
import type { Given, Option, Positional } from './command.ts';

type Binding = typeof import('../native/binding.ts');

/** Limits that a folder was created with stand in the folder. */
export const storedLimits = { maxOrders: 0, maxAccounts: 0, maxInstruments: 0, maxClientIds: 0 } as const;

export const folderOption: Option = {
  name: 'data',
  value: 'DIR',
  help: 'the data folder, where DIR is left out',
  fallback: './data',
};
export const folderPositional: Positional = {
  name: 'DIR',
  help: 'the data folder of a node',
  optional: true,
};

/** The folder that a command is about; throws NO_DATA_DIRECTORY where there is none. */
export function folderOf(given: Given): string {
  const folder = given.positionals[0] ?? given.need('data');
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new VerbexError('NO_DATA_DIRECTORY', `${folder} is no folder`);
  }
  return folder;
}

export async function offline<T>(work: (native: Binding) => Promise<T>): Promise<T> {
  try {
    return await work(await import('../native/binding.ts'));
  } catch (error) {
    throw fromNative(error);
  }
}
