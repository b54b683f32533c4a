/** The disk that a data folder lies on, or would. Measures with a file beside it, which is removed. */
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { grouped } from '../output.ts';
import { type Finding, Findings, type Row } from './finding.ts';
import { gibibytes } from './memory.ts';
import type { SystemTree } from './system-tree.ts';

const fsyncSamples = 20;
const directBytes = 4096;
const freeBytesMin = 1 << 30;
const fsyncMicrosMax = 2000;

export interface Disk {
  readonly folder: string;
  readonly exists: boolean;
  readonly fileSystem: string;
  readonly freeBytes: number;
  readonly direct: boolean | undefined;
  readonly fsyncMedianMicros: number | undefined;
  readonly problem: string | undefined;
}

/** A file is written beside where the journal lies or would lie, and removed. */
export function disk(folder: string, tree: SystemTree): Disk {
  const exists = existsSync(folder);
  let place = resolve(folder);
  while (!existsSync(place)) place = dirname(place);
  const { bavail, bsize } = statfsSync(place);
  const facts = { folder, exists, fileSystem: fileSystemOf(place, tree), freeBytes: bavail * bsize };
  const probe = join(place, `.verbex-doctor-${process.pid}`);
  try {
    mkdirSync(probe);
    return {
      ...facts,
      direct: directWorks(join(probe, 'direct')),
      fsyncMedianMicros: fsyncMedian(join(probe, 'fsync')),
      problem: undefined,
    };
  } catch (error) {
    return { ...facts, direct: undefined, fsyncMedianMicros: undefined, problem: (error as Error).message };
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
}

/** The mount that is the longest prefix of the path. */
function fileSystemOf(path: string, tree: SystemTree): string {
  let best = { at: '', type: 'unknown' };
  for (const line of (tree.text('proc/self/mounts') ?? '').split('\n')) {
    const [, encoded, type] = line.split(' ');
    if (encoded === undefined || type === undefined) continue;
    const at = encoded.replaceAll('\\040', ' ');
    const inside = path === at || path.startsWith(at === '/' ? '/' : `${at}/`);
    if (inside && at.length >= best.at.length) best = { at, type };
  }
  return best.type;
}

/** Unaligned memory may be refused even where O_DIRECT works; opening is what tells file systems apart. */
function directWorks(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_CREAT | constants.O_RDWR | constants.O_DIRECT));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EINVAL') return false;
    throw error;
  }
}

function fsyncMedian(path: string): number {
  const file = openSync(path, 'w');
  try {
    const block = Buffer.alloc(directBytes, 1);
    const micros: number[] = [];
    for (let at = 0; at < fsyncSamples; at += 1) {
      writeSync(file, block, 0, block.length, 0);
      const started = performance.now();
      fsyncSync(file);
      micros.push((performance.now() - started) * 1000);
    }
    micros.sort((a, b) => a - b);
    return Math.round(micros[fsyncSamples / 2] ?? 0);
  } finally {
    closeSync(file);
  }
}

export function diskRows(store: Disk): Row[] {
  return [
    ['file system', `${store.fileSystem}, ${gibibytes(store.freeBytes)} free`],
    [
      'direct I/O',
      store.direct === undefined ? 'unknown' : store.direct ? 'works' : 'not on this file system',
    ],
    [
      'fsync',
      store.fsyncMedianMicros === undefined
        ? `unknown: ${store.problem}`
        : `${grouped(store.fsyncMedianMicros)} µs (median of ${fsyncSamples})`,
    ],
  ];
}

export function diskFindings(store: Disk): readonly Finding[] {
  const found = new Findings();
  found.say(
    'bad',
    store.problem !== undefined,
    `${store.folder} cannot be written: ${store.problem}`,
    'give a folder that this user may write',
  );
  found.say(
    'bad',
    store.freeBytes < freeBytesMin,
    'less than 1 GiB free where the journal lies',
    'free some, or put the data folder elsewhere',
  );
  found.say(
    'advice',
    store.direct === false,
    `${store.fileSystem} has no direct I/O: the journal goes through the page cache`,
    'ext4 or xfs on a local disk has it',
  );
  found.say(
    'advice',
    ['tmpfs', 'ramfs'].includes(store.fileSystem),
    `${store.fileSystem} forgets everything when the machine stops`,
    'put the data folder on a disk',
  );
  found.say(
    'advice',
    (store.fsyncMedianMicros ?? 0) > fsyncMicrosMax,
    `fsync takes ${grouped(store.fsyncMedianMicros ?? 0)} µs: that is what durability "durable" waits for`,
    'a disk with power loss protection answers in tens of µs',
  );
  return found.list;
}
