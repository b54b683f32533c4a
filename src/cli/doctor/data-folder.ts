/** A data folder: whether its journal is sound, or a node has it. */
import { existsSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fromNative } from '../../errors/errors.ts';
import { placeText } from '../output.ts';
import type { Finding } from './finding.ts';
import type { SystemTree } from './system-tree.ts';

export interface FolderFacts {
  readonly state: 'none' | 'sound' | 'in use' | 'damaged' | 'unreadable';
  readonly detail?: string;
  readonly journal?: unknown;
}

export async function folderFacts(folder: string, tree: SystemTree): Promise<FolderFacts> {
  if (!existsSync(join(folder, 'journal'))) return { state: 'none', detail: 'a node would create it' };
  const holder = holderOf(folder, tree);
  if (holder !== undefined) return { state: 'in use', detail: `by process ${holder} (${commandOf(holder)})` };
  try {
    const { journalVerify } = await import('../../native/binding.ts');
    return { state: 'sound', journal: JSON.parse(await journalVerify(folder)) };
  } catch (error) {
    const known = fromNative(error);
    const place = 'place' in known ? (known.place as Record<string, unknown> | undefined) : undefined;
    const detail = `${known.code}: ${known.message}${place === undefined ? '' : ` at ${placeText(place)}`}`;
    return { state: known.code === 'JOURNAL_DAMAGED' ? 'damaged' : 'unreadable', detail };
  }
}

/** Whether a process holds the folder's lock: /proc/locks names the inode. */
function holderOf(folder: string, tree: SystemTree): number | undefined {
  const lock = join(folder, 'lock');
  const found = statSync(lock, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  for (const line of (tree.text('proc/locks') ?? '').split('\n')) {
    const fields = line.trim().split(/\s+/);
    const [pid, place] = [fields[4], fields[5]];
    if (place?.split(':')[2] === String(found.ino)) return Number(pid);
  }
  return undefined;
}

/** Of a running process, for people: what was started. */
function commandOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return 'unknown'; // Another user's process.
  }
}

export function folderFindings(folder: string, { state, detail }: FolderFacts): Finding[] {
  if (state === 'damaged') {
    return [
      {
        kind: 'bad',
        what: `the journal of ${folder} is damaged: ${detail}`,
        change: 'restore the folder from a copy; nothing is guessed or repaired in silence',
      },
    ];
  }
  if (state !== 'unreadable' || detail === undefined) return [];
  return [
    {
      kind: 'bad',
      what: `${folder} cannot be verified: ${detail}`,
      change: 'see what the code says in docs/errors.md',
    },
  ];
}
