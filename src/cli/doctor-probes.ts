/** What `verbex doctor` looks at: facts of this machine, each by itself, none of them changing anything that stays. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const fsyncSamples = 20;
const directBytes = 4096;

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined; // Not there, or not for us to read: the probe says "unknown".
  }
}

export interface Processor {
  readonly model: string;
  readonly cores: number;
  readonly architecture: string;
  readonly crc32: boolean;
  readonly governor: string;
  readonly clockSource: string;
}

export function processor(): Processor {
  const info = textOf('/proc/cpuinfo') ?? '';
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(info)?.[1]?.split(' ') ?? [];
  return {
    model: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    architecture: process.arch,
    crc32: flags.includes('sse4_2') || flags.includes('crc32'),
    governor: textOf('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor') ?? 'unknown',
    clockSource: textOf('/sys/devices/system/clocksource/clocksource0/current_clocksource') ?? 'unknown',
  };
}

export interface Memory {
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly hugePages: string;
  readonly memlockBytes: number | 'unlimited' | 'unknown';
}

export function memory(): Memory {
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(textOf('/proc/meminfo') ?? '')?.[1];
  const thp = /\[(\w+)\]/.exec(textOf('/sys/kernel/mm/transparent_hugepage/enabled') ?? '')?.[1] ?? 'unknown';
  const locked = /^Max locked memory\s+(\S+)/m.exec(textOf('/proc/self/limits') ?? '')?.[1];
  return {
    totalBytes: totalmem(),
    availableBytes: available === undefined ? 0 : Number(available) * 1024,
    hugePages: thp,
    memlockBytes: locked === undefined ? 'unknown' : locked === 'unlimited' ? 'unlimited' : Number(locked),
  };
}

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
export function disk(folder: string): Disk {
  const exists = existsSync(folder);
  let place = resolve(folder);
  while (!existsSync(place)) place = dirname(place);
  const { bavail, bsize } = statfsSync(place);
  const facts = { folder, exists, fileSystem: fileSystemOf(place), freeBytes: bavail * bsize };
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
function fileSystemOf(path: string): string {
  let best = { at: '', type: 'unknown' };
  for (const line of (textOf('/proc/self/mounts') ?? '').split('\n')) {
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

export interface Infiniband {
  readonly library: boolean;
  readonly devices: readonly string[];
}

export function infiniband(): Infiniband {
  const folders = [
    '/usr/lib',
    '/usr/lib64',
    '/lib',
    '/usr/local/lib',
    `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`,
  ];
  const library = folders.some((folder) => listed(folder).some((name) => name.startsWith('libibverbs.so')));
  return { library, devices: listed('/sys/class/infiniband') };
}

function listed(folder: string): string[] {
  return statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true ? readdirSync(folder) : [];
}

/** The first line of `--version`, or undefined where there is no such program. */
export function programVersion(program: string): string | undefined {
  try {
    return execFileSync(program, ['--version'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).split('\n')[0];
  } catch {
    return undefined; // Not installed: that is the finding.
  }
}

/** Whether a process holds the folder's lock: /proc/locks names the inode. */
export function holderOf(folder: string): number | undefined {
  const lock = join(folder, 'lock');
  const found = statSync(lock, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  for (const line of (textOf('/proc/locks') ?? '').split('\n')) {
    const fields = line.trim().split(/\s+/);
    const [pid, place] = [fields[4], fields[5]];
    if (place?.split(':')[2] === String(found.ino)) return Number(pid);
  }
  return undefined;
}

/** Of a running process, for people: what was started. */
export function commandOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return 'unknown'; // Another user's process.
  }
}
