// The counters of a running bus, as any process of the same user may read them (docs/bus-protocol.md, "Counters").
import { closeSync, openSync, readdirSync, readFileSync, readSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

const magic = 0x54435856; // VXCT
const version = 1;
const headerBytes = 128;
const recordBytes = 128;
const labelBytes = 112;
const capacityMax = 1 << 16;
const attempts = 20;

export interface CountersFile {
  readonly path: string;
  readonly pid: number;
  /** Of the node. */
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly started: number;
  /** The bus's own clock at the last copy. */
  readonly updatedNs: bigint;
  /** Records that found no room. */
  readonly leftOut: number;
  /** By label. */
  readonly values: ReadonlyMap<string, number>;
}

export const countersFolder: '/dev/shm' = '/dev/shm';

/** Of every bus that runs, by process id. Files that a crash left behind are removed. */
export function readAllCounters(folder: string = countersFolder): CountersFile[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    // No such folder: nothing runs that could have made it.
    return [];
  }
  return names
    .filter((name) => /^verbex-.*\.counters$/.test(name))
    .flatMap((name) => readCounters(join(folder, name)) ?? [])
    .sort((a, b) => a.pid - b.pid || a.path.localeCompare(b.path));
}

/** Undefined where the file is gone, somebody else's, another version's, or was left behind by a process that is gone: then it is removed. */
export function readCounters(path: string): CountersFile | undefined {
  const copy = consistentCopy(path);
  if (copy === undefined) return undefined;
  const pid = copy.readUInt32LE(8);
  if (!runs(pid, copy.readBigUInt64LE(16))) {
    remove(path);
    return undefined;
  }
  const capacity = copy.readUInt32LE(12);
  const records = Math.min(copy.readUInt32LE(48), capacity);
  const values = new Map<string, number>();
  for (let at = headerBytes; at < headerBytes + records * recordBytes; at += recordBytes)
    values.set(textAt(copy, at, labelBytes), Number(copy.readBigUInt64LE(at + labelBytes)));
  return {
    path,
    pid,
    name: textAt(copy, 64, 64),
    started: Number(copy.readBigUInt64LE(24)),
    updatedNs: copy.readBigUInt64LE(40),
    leftOut: copy.readUInt32LE(52),
    values,
  };
}

/** The whole file between two looks at an even generation that are the same. */
function consistentCopy(path: string): Buffer | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    // Gone since the folder was read, or another user's.
    return undefined;
  }
  try {
    const header = Buffer.alloc(headerBytes);
    for (let attempt = 0; attempt < attempts; attempt++) {
      if (readSync(file, header, 0, headerBytes, 0) !== headerBytes) return undefined;
      const capacity = header.readUInt32LE(12);
      if (header.readUInt32LE(0) !== magic || header.readUInt32LE(4) !== version || capacity > capacityMax)
        return undefined;
      const bytes = headerBytes + capacity * recordBytes;
      const copy = Buffer.alloc(bytes + 1);
      if (readSync(file, copy, 0, bytes + 1, 0) !== bytes) return undefined;
      const before = header.readBigUInt64LE(32);
      readSync(file, header, 0, headerBytes, 0);
      if (before % 2n === 0n && before === header.readBigUInt64LE(32)) return copy.subarray(0, bytes);
    }
    // The writer died in the middle of a copy, most likely: what cannot be trusted is not shown.
    return undefined;
  } finally {
    closeSync(file);
  }
}

function textAt(copy: Buffer, at: number, most: number): string {
  const text = copy.subarray(at, at + most);
  const end = text.indexOf(0);
  return text.toString('latin1', 0, end < 0 ? most : end);
}

/** Whether that process is there, and is the one that made the file and not a later one of its number. */
function runs(pid: number, start: bigint): boolean {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    // No such process.
    return false;
  }
  // The second field is a name in brackets, which may hold anything; the third comes behind the last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return start === 0n || fields[22 - 3] === String(start);
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody was faster, or it is another user's: either way it is not shown.
  }
}
