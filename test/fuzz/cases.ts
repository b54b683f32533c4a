// Streams as files: what the fuzzer found, and what must never come back. Only fields that are not zero
// are written; numbers that may leave a double are text.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Limits } from '../oracle/state.ts';
import { type Command, CommandType, command, decodeCommands, encodeCommands } from '../oracle/wire.ts';
import type { Input } from './compare.ts';

export interface Case {
  about: string;
  input: Input;
}

type Written = Record<string, string | number>;

export function caseToJson(found: Case): string {
  const commands = decodeCommands(found.input.cells).map((c) => JSON.stringify(writeCommand(c)));
  return (
    `{\n  "about": ${JSON.stringify(found.about)},\n  "limits": ${JSON.stringify(found.input.limits)},\n` +
    `  "commands": [\n    ${commands.join(',\n    ')}\n  ]\n}\n`
  );
}

export function caseFromJson(text: string): Case {
  const read = JSON.parse(text) as { about: string; limits: Limits; commands: Written[] };
  return {
    about: read.about,
    input: { limits: read.limits, cells: encodeCommands(read.commands.map(readCommand)) },
  };
}

export function readCases(folder: string): { file: string; found: Case }[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => ({ file, found: caseFromJson(readFileSync(join(folder, file), 'utf8')) }));
}

function writeCommand(c: Command): Written {
  const written: Written = {};
  for (const [name, value] of Object.entries(c)) {
    if (value === 0 || value === 0n || value === '') continue;
    written[name] = typeof value === 'bigint' ? value.toString() : value;
  }
  const type = Object.keys(CommandType).find((key) => (CommandType as Written)[key] === c.type);
  if (type !== undefined) written.type = type;
  return written;
}

function readCommand(written: Written): Command {
  const model: Record<string, unknown> = { ...command({}) };
  const c: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(written)) {
    if (!(name in model)) throw new Error(`a command has no field ${name}`);
    if (name === 'type' && typeof value === 'string') c[name] = (CommandType as Written)[value];
    else c[name] = typeof model[name] === 'bigint' ? BigInt(value) : value;
  }
  // Not through command(): the flags are as they were.
  return { ...command({}), ...c };
}
