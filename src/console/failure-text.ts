// What `verbex run` says when it cannot go on.

const advice: Readonly<Record<string, string>> = {
  JOURNAL_DAMAGED:
    'nothing was changed; `verbex journal verify` shows what is intact, docs/operations.md what to do',
  SNAPSHOT_DAMAGED: 'nothing was changed; docs/operations.md says what to do',
  DATA_DIRECTORY_IN_USE: 'another node runs on this folder: stop it, or choose another with --data',
  EADDRINUSE:
    'another process listens there: stop it, or choose others with --port, --admin-port, --ouch-port …',
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
