// What the command line answers to the shell, by what went wrong: sysexits.h where there is a code that fits. docs/cli.md is this table with
// the error codes, docs/operations.md without; tests hold all three equal.
import { VerbexError } from './errors.ts';

export const exitClean = 0;
export const exitFailed = 1;
/** A line of the input is wrong, whatever the code says about it. */
const exitInput = 66;
/** Stopped the hard way, by a second signal. */
export const exitForced = 130;

/** [exit code, meaning, error codes: ours, and those of system calls]. */
export const exitCodes: readonly (readonly [number, string, readonly string[]])[] = [
  [exitClean, 'done; `run`: stopped cleanly', []],
  [exitFailed, 'failed for a reason without an exit code of its own', []],
  [2, 'the command line is wrong', ['USAGE']],
  [
    65,
    'the journal, a snapshot or `keys.json` is damaged; the exact place is printed, nothing was changed',
    ['JOURNAL_DAMAGED', 'SNAPSHOT_DAMAGED', 'KEYS_DAMAGED'],
  ],
  [
    exitInput,
    'the input cannot be read, or a line of it is wrong',
    [
      'NO_DATA_DIRECTORY',
      'NO_CLUSTER',
      'NOT_FOUND',
      'REPLAY_FILE_UNREADABLE',
      'REPLAY_BAD_LINE',
      'REPLAY_LINE_TOO_LONG',
    ],
  ],
  [
    69,
    'what should be the same is not: snapshot and journal, journal and replayed file, or two sources of a recovery',
    [
      'SNAPSHOT_DIVERGED',
      'EDGE_DIVERGED',
      'EDGE_BEHIND',
      'SOURCES_DISAGREE',
      'RECOVERY_SOURCES_DIFFER',
      'RECOVERY_SOURCES_APART',
      'SITES_DIFFER',
      'REPLAY_FOREIGN_DATA',
    ],
  ],
  [71, 'a port cannot be had', ['EADDRINUSE', 'EADDRNOTAVAIL']],
  [73, 'an output file cannot be written', ['REPLAY_OUTPUT_FAILED']],
  [74, 'the disk failed or is full', ['IO_ERROR', 'NO_SPACE']],
  [75, 'another process has the data folder', ['DATA_DIRECTORY_IN_USE', 'MEMBER_RUNNING']],
  [77, 'this user may not listen there or use that file', ['EACCES']],
  [
    78,
    'an option is out of range, or the data folder was created with other limits or by another version',
    ['LIMITS_DIFFER', 'UNSUPPORTED_FORMAT', 'INVALID_OPTION', 'INVALID_ARGUMENT'],
  ],
  [exitForced, 'stopped the hard way, by a second Ctrl-C', []],
];

const byCode = new Map<string, number>(
  exitCodes.flatMap(([exit, , codes]) => codes.map((code): [string, number] => [code, exit])),
);

export function exitCodeOf(error: unknown): number {
  const { code } = (error ?? {}) as { code?: unknown };
  const exit = typeof code === 'string' ? byCode.get(code) : undefined;
  if (exit !== undefined) return exit;
  // A line of a file that the API refused.
  return error instanceof VerbexError && error.details.line !== undefined ? exitInput : exitFailed;
}
