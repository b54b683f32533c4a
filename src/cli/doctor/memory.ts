/** Memory: how much there is, in which pages, and how much of it may be locked. */
import { totalmem } from 'node:os';
import { grouped } from '../output.ts';
import { type Finding, Findings, type Row } from './finding.ts';
import type { SystemTree } from './system-tree.ts';

const availableBytesMin = 1 << 30;

export interface Memory {
  readonly totalBytes: number;
  readonly availableBytes: number;
  /** What transparent huge pages are set to. */
  readonly hugePages: string;
  /** Huge pages set aside: how many, how many of them free, of which size. */
  readonly hugetlb: { readonly total: number; readonly free: number; readonly pageBytes: number };
  readonly memlockBytes: number | 'unlimited' | 'unknown';
}

export function memory(tree: SystemTree): Memory {
  const info = tree.text('proc/meminfo') ?? '';
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  const thp = /\[(\w+)\]/.exec(tree.text('sys/kernel/mm/transparent_hugepage/enabled') ?? '')?.[1];
  const locked = /^Max locked memory\s+(\S+)/m.exec(tree.text('proc/self/limits') ?? '')?.[1];
  return {
    totalBytes: totalmem(),
    availableBytes: field('MemAvailable') * 1024,
    hugePages: thp ?? 'unknown',
    hugetlb: {
      total: field('HugePages_Total'),
      free: field('HugePages_Free'),
      pageBytes: field('Hugepagesize') * 1024,
    },
    memlockBytes: locked === undefined ? 'unknown' : locked === 'unlimited' ? 'unlimited' : Number(locked),
  };
}

export function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

export function memoryRows(ram: Memory): Row[] {
  const { total, free, pageBytes } = ram.hugetlb;
  const setAside = total === 0 ? 'none set aside' : `${free} of ${total} free, ${pageBytes / 1024} KiB each`;
  return [
    ['memory', `${gibibytes(ram.totalBytes)}, ${gibibytes(ram.availableBytes)} available`],
    ['huge pages', `transparent: ${ram.hugePages}; hugetlb: ${setAside}`],
    [
      'lockable memory',
      typeof ram.memlockBytes === 'number' ? `${grouped(ram.memlockBytes)} bytes` : ram.memlockBytes,
    ],
  ];
}

export function memoryFindings(ram: Memory): readonly Finding[] {
  const found = new Findings();
  found.say(
    'advice',
    ram.hugePages === 'never',
    'transparent huge pages are off',
    'echo madvise > /sys/kernel/mm/transparent_hugepage/enabled',
  );
  found.say(
    'advice',
    ram.availableBytes > 0 && ram.availableBytes < availableBytesMin,
    'less than 1 GiB of memory available',
    'stop something, or lower --max-orders and --max-client-ids',
  );
  return found.list;
}
