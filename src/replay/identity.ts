/**
 * Which replay a data folder belongs to: a small file beside the journal. A file that differs in length, in its first or last
 * mebibyte or in the options that decide its commands is refused before anything is read; what lies between is proved
 * by the state hash of the part that is there already.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ReplayError } from './replay-error.ts';

const version = 1;
const sampleBytes = 1 << 20;

export interface ReplayIdentity {
  readonly version: number;
  readonly format: string;
  readonly bytes: number;
  /** SHA-256 of the file's first and last mebibyte. */
  readonly sample: string;
  /** What else decides the commands. */
  readonly options: string;
}

export function identityPath(data: string): string {
  return join(data, 'replay.json');
}

export async function identityOf(
  path: string,
  format: string,
  options: Record<string, unknown>,
): Promise<ReplayIdentity> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const hash = createHash('sha256');
    for (const at of [0, Math.max(0, size - sampleBytes)]) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(sampleBytes), 0, sampleBytes, at);
      hash.update(buffer.subarray(0, bytesRead));
    }
    return { version, format, bytes: size, sample: hash.digest('hex'), options: JSON.stringify(options) };
  } finally {
    await file.close();
  }
}

export async function readIdentity(data: string): Promise<ReplayIdentity | undefined> {
  let text: string;
  try {
    text = await readFile(identityPath(data), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as ReplayIdentity;
  } catch (cause) {
    throw new ReplayError('REPLAY_FOREIGN_DATA', `${identityPath(data)} is not what a replay writes`, {
      cause,
    });
  }
}

/** Whole or not at all: a crash leaves no half of it. */
export async function writeIdentity(data: string, identity: ReplayIdentity): Promise<void> {
  await mkdir(data, { recursive: true });
  const path = identityPath(data);
  await writeFile(`${path}.new`, `${JSON.stringify(identity)}\n`, { flush: true });
  await rename(`${path}.new`, path);
}

/** Throws REPLAY_FOREIGN_DATA where the folder belongs to another file or to other options. */
export function mustBeSame(data: string, there: ReplayIdentity, now: ReplayIdentity): void {
  const different = (Object.keys(now) as (keyof ReplayIdentity)[]).filter((key) => there[key] !== now[key]);
  if (different.length === 0) return;
  throw new ReplayError(
    'REPLAY_FOREIGN_DATA',
    `${data} holds the replay of another file or with other options (${different.join(', ')} differ): give another folder`,
  );
}
