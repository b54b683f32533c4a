// Writes a file of counters as docs/bus-protocol.md says, whatever the native writer does: the reader is held against the document.
import { readFileSync, writeFileSync } from 'node:fs';

export interface Written {
  readonly pid?: number;
  readonly start?: bigint;
  readonly generation?: bigint;
  readonly updatedNs?: bigint;
  readonly name?: string;
  readonly version?: number;
  readonly capacity?: number;
}

/** When this process began, as the file's header has it. */
export function ownStart(): bigint {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  return BigInt(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!);
}

export function writeCounters(
  path: string,
  values: Readonly<Record<string, number>>,
  facts: Written = {},
): void {
  const entries = Object.entries(values);
  const capacity = facts.capacity ?? 64;
  const file = Buffer.alloc(128 + 128 * capacity);
  file.write('VXCT', 0, 'latin1');
  file.writeUInt32LE(facts.version ?? 1, 4);
  file.writeUInt32LE(facts.pid ?? process.pid, 8);
  file.writeUInt32LE(capacity, 12);
  file.writeBigUInt64LE(facts.start ?? ownStart(), 16);
  file.writeBigUInt64LE(1_700_000_000_000n, 24);
  file.writeBigUInt64LE(facts.generation ?? 2n, 32);
  file.writeBigUInt64LE(facts.updatedNs ?? 1_000_000_000n, 40);
  file.writeUInt32LE(entries.length, 48);
  file.write(facts.name ?? 'node', 64, 'latin1');
  for (const [index, [label, value]] of entries.entries()) {
    file.write(label, 128 + 128 * index, 'latin1');
    file.writeBigUInt64LE(BigInt(value), 128 + 128 * index + 112);
    file.writeUInt32LE(1, 128 + 128 * index + 120);
  }
  writeFileSync(path, file);
}
