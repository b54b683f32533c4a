// What `verbex run` answers to the shell, by what went wrong: sysexits.h where there is a code that fits. docs/operations.md prints this table.

export const exitClean = 0;
export const exitFailed = 1;
/** The journal or a snapshot is damaged: EX_DATAERR. */
export const exitDamaged = 65;
/** What should be the same state is not. */
export const exitDisagreement = 69;
/** A port cannot be had: EX_OSERR. */
export const exitPort = 71;
/** The disk failed: EX_IOERR. */
export const exitDisk = 74;
/** Another process has the data folder: EX_TEMPFAIL. */
export const exitInUse = 75;
/** The configuration does not fit: EX_CONFIG. */
export const exitConfiguration = 78;
/** Stopped the hard way, by a second signal. */
export const exitForced = 130;

const byCode: Readonly<Record<string, number>> = {
  JOURNAL_DAMAGED: exitDamaged,
  SNAPSHOT_DAMAGED: exitDamaged,
  SNAPSHOT_DIVERGED: exitDisagreement,
  SOURCES_DISAGREE: exitDisagreement,
  KEYS_DAMAGED: exitDamaged,
  DATA_DIRECTORY_IN_USE: exitInUse,
  EADDRINUSE: exitPort,
  EADDRNOTAVAIL: exitPort,
  EACCES: exitPort,
  IO_ERROR: exitDisk,
  NO_SPACE: exitDisk,
  LIMITS_DIFFER: exitConfiguration,
  UNSUPPORTED_FORMAT: exitConfiguration,
  INVALID_OPTION: exitConfiguration,
  INVALID_ARGUMENT: exitConfiguration,
};

export function exitCodeOf(error: unknown): number {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? (byCode[code] ?? exitFailed) : exitFailed;
}

const advice: Readonly<Record<string, string>> = {
  JOURNAL_DAMAGED:
    'nothing was changed; `verbex journal verify` shows what is intact, docs/operations.md what to do',
  SNAPSHOT_DAMAGED: 'nothing was changed; docs/operations.md says what to do',
  DATA_DIRECTORY_IN_USE: 'another node runs on this folder: stop it, or choose another with --data',
  EADDRINUSE: 'another process listens there: stop it, or choose others with --port and --admin-port',
  EACCES: 'this user may not listen there or use that folder',
  NO_SPACE: 'the disk is full',
  LIMITS_DIFFER: 'the folder was made with other limits: leave them out, or give the same',
};

/** One paragraph for the operator: what, where, and what now. */
export function failureText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, place } = error as Error & { code?: unknown; place?: Record<string, unknown> };
  const name = typeof code === 'string' ? code : error.name;
  const where =
    place === undefined ? [] : Object.entries(place).map(([key, value]) => `${key} ${String(value)}`);
  const lines = [`verbex: ${name}: ${error.message}`];
  if (where.length > 0) lines.push(`  at ${where.join(', ')}`);
  const help = advice[name];
  if (help !== undefined) lines.push(`  ${help}`);
  return lines.join('\n');
}
