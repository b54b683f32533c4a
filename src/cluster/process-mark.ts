// ProcessMark: names a process so that another one which got its number later is never taken for it, nor signalled.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

export interface ProcessMark {
  readonly pid: number;
  /** Clock ticks since the machine's start, and which start that was. */
  readonly startedAt: string;
  readonly boot: string;
}

export type ProcessState = 'running' | 'paused' | 'gone';

/** Names this start of the machine. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Behind the name, which may hold anything, brackets and blanks too: state first, its start as the 20th. */
function statOf(pid: number): { readonly state: string; readonly startedAt: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0]!, startedAt: fields[19]! };
  } catch {
    return undefined;
  }
}

/** Undefined: there is no such process. */
export function markOf(pid: number): ProcessMark | undefined {
  const stat = statOf(pid);
  return stat === undefined ? undefined : { pid, startedAt: stat.startedAt, boot: bootId() };
}

export function stateOf({ pid, startedAt, boot }: ProcessMark): ProcessState {
  const stat = statOf(pid);
  if (stat === undefined || stat.startedAt !== startedAt || boot !== bootId()) return 'gone';
  if ('ZXx'.includes(stat.state)) return 'gone';
  return 'Tt'.includes(stat.state) ? 'paused' : 'running';
}

/** False: it is gone. */
export function signalTo(mark: ProcessMark, signal: NodeJS.Signals): boolean {
  if (stateOf(mark) === 'gone') return false;
  try {
    process.kill(mark.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

export function writeMark(path: string, mark: ProcessMark): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(mark)}\n`);
  renameSync(`${path}.new`, path);
}

/** Undefined: there is no such file, or it is none of ours. */
export function readMark(path: string): ProcessMark | undefined {
  try {
    const { pid, startedAt, boot } = JSON.parse(readFileSync(path, 'utf8')) as Partial<ProcessMark>;
    if (!Number.isInteger(pid) || typeof startedAt !== 'string' || typeof boot !== 'string') return undefined;
    return { pid: pid!, startedAt, boot };
  } catch {
    return undefined;
  }
}

export function removeMark(path: string): void {
  rmSync(path, { force: true });
}
