/** Exit codes, from sysexits.h where there is one that fits. docs/cli.md has the same table; a test holds the two equal. */
import { VerbexError } from '../errors/errors.ts';

/** [exit code, meaning, error codes]. */
export const exitCodes: readonly (readonly [number, string, readonly string[]])[] = [
  [0, 'done', []],
  [1, 'failed for a reason without an exit code of its own', []],
  [2, 'the command line is wrong', ['USAGE']],
  [
    65,
    'the journal or a snapshot is damaged; the exact place is printed',
    ['JOURNAL_DAMAGED', 'SNAPSHOT_DAMAGED', 'KEYS_DAMAGED'],
  ],
  [
    66,
    'the input cannot be read, or a line of it is wrong',
    ['NO_DATA_DIRECTORY', 'NOT_FOUND', 'REPLAY_FILE_UNREADABLE', 'REPLAY_BAD_LINE', 'REPLAY_LINE_TOO_LONG'],
  ],
  [
    69,
    'what should be the same state is not: snapshot and journal, or journal and replayed file',
    ['SNAPSHOT_DIVERGED', 'SOURCES_DISAGREE', 'REPLAY_FOREIGN_DATA'],
  ],
  [71, 'a port cannot be had', ['EADDRINUSE', 'EADDRNOTAVAIL', 'EACCES']],
  [73, 'an output file cannot be written', ['REPLAY_OUTPUT_FAILED']],
  [74, 'the disk failed or is full', ['IO_ERROR', 'NO_SPACE']],
  [75, 'the data folder is in use by another process', ['DATA_DIRECTORY_IN_USE']],
  [
    78,
    'an option is out of range, or the data folder was created with other limits or by another version',
    ['LIMITS_DIFFER', 'UNSUPPORTED_FORMAT', 'INVALID_OPTION', 'INVALID_ARGUMENT'],
  ],
  [130, 'stopped the hard way, by a second Ctrl-C', []],
];

const byCode = new Map<string, number>(
  exitCodes.flatMap(([exit, , codes]) => codes.map((code): [string, number] => [code, exit])),
);

export function exitCodeOf(error: unknown): number {
  if (!(error instanceof VerbexError)) return 1;
  // A line of a file that the API refused: the input is wrong, whatever the code.
  return byCode.get(error.code) ?? (error.details.line === undefined ? 1 : 66);
}
