/** `verbex journal verify`: every byte of a journal checked, nothing changed. */
import type { Command } from './command.ts';
import { folderOf, folderOption, folderPositional, offline } from './offline.ts';
import { facts } from './output.ts';

export const journalVerifyCommand: Command = {
  name: 'journal verify',
  summary: 'check every record, checksum and link of a journal; changes nothing',
  positionals: [folderPositional],
  options: [folderOption],
  notes: ['Damage ends with exit code 65 and the exact place: file, byte and position.'],
  examples: [
    ['verbex journal verify ./data', 'check the journal of ./data'],
    ['verbex journal verify ./data --json | tail -1', 'the same for a program'],
  ],
  async run(given, output) {
    const folder = folderOf(given);
    const report = await offline((native) => native.journalVerify(folder));
    output.answerJson(report, () => facts(flat(JSON.parse(report) as Record<string, unknown>)));
    return 0;
  },
};

/** Members as `name  value` rows; nested ones with dots between. */
export function flat(object: Record<string, unknown>, prefix = ''): [string, string][] {
  return Object.entries(object).flatMap(([name, value]): [string, string][] => {
    const path = `${prefix}${name}`;
    if (Array.isArray(value)) {
      const simple = value.every((member) => typeof member !== 'object');
      if (simple) return [[path, value.join(' ')]];
      return value.flatMap((member, at) => flat(member as Record<string, unknown>, `${path}.${at}.`));
    }
    if (typeof value === 'object' && value !== null)
      return flat(value as Record<string, unknown>, `${path}.`);
    return [[path, String(value)]];
  });
}
