/** `verbex backup`: a copy of a data folder, also of a running node's, that is known to be whole. */
import { type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { VerbexError } from '../errors/errors.ts';
import { type Command, UsageError } from './command.ts';
import { type Recovered, recoverFolder } from './journal-recover.ts';
import { folderOption } from './offline.ts';
import { facts, grouped } from './output.ts';

const pageBytes = 4096;
const chunkBytes = 1 << 20;
const attemptsMax = 20;

export const backupCommand: Command = {
  name: 'backup',
  summary: 'copy a data folder, also that of a running node, and prove the copy',
  positionals: [{ name: 'TARGET', help: 'the folder to make; it must not exist, or be empty' }],
  options: [folderOption],
  notes: [
    'The copy holds everything that had been written when the command began, and perhaps some of what came later. It is recovered twice, from its newest snapshot and from as far back as it reaches, and the hashes are compared: from its journal alone, or where that was pruned from its oldest snapshot and the journal behind it.',
    'The folder of a member of a cluster is copied in the same way. Its copy is for `verbex journal recover`: never start a member with it.',
    'keys.json and admin.key are copied too: guard the copy as you guard the folder.',
  ],
  examples: [['verbex backup --data /var/lib/verbex /mnt/backup/today', 'beside the running node']],
  async run(given, output) {
    const [target] = given.positionals;
    if (target === undefined) throw new UsageError('TARGET is missing');
    const bytes = await copyFolder(given.need('data'), target);
    const recovered = JSON.parse(await recoverFolder(target, undefined, 'both')) as Recovered;
    const { position, stateHash, snapshotPosition, oldestPosition, refusedSnapshots } = recovered;
    output.answer(
      { position, stateHash, snapshotPosition, oldestPosition, refusedSnapshots, bytes },
      [
        facts([
          ['position', grouped(position)],
          ['state hash', stateHash],
          ['snapshot at', snapshotPosition === 0 ? 'none' : grouped(snapshotPosition)],
          ['proved from', provedFrom(recovered)],
          ['bytes', grouped(bytes)],
        ]),
        ...refusedSnapshots.map((line) => `damaged, and not used: ${line}`),
      ].join('\n'),
    );
    return 0;
  },
};

/** What the newest snapshot, and the journal behind it, were held against. */
function provedFrom({ snapshotPosition, oldestPosition }: Recovered): string {
  if (oldestPosition === 0) return 'the first command on';
  if (oldestPosition === snapshotPosition)
    return 'this snapshot alone: no older one is sound, and the journal begins behind it';
  return `the snapshot at ${grouped(oldestPosition)} on, where the journal begins`;
}

/**
 * Snapshots first, so that the journal reaches at least as far; then the journal from its end to its beginning: whatever is in the copy of
 * a later part had been written when the earlier part was read, so the copy has no hole, however fast the node goes on writing.
 * Answers the bytes copied.
 */
export async function copyFolder(from: string, to: string): Promise<number> {
  const folders = await list(from, 'directory');
  if (!folders.includes('journal')) throw new VerbexError('NO_DATA_DIRECTORY', `${from} is no data folder`);
  await mkdir(to, { recursive: true });
  if ((await readdir(to)).length > 0) throw new UsageError(`${to} is not empty`);
  let bytes = 0;
  for (const folder of ['snapshots', 'journal'] as const) {
    if (!folders.includes(folder)) continue;
    await mkdir(join(to, folder));
    bytes += await (folder === 'journal' ? copyJournal : copySnapshots)(join(from, folder), join(to, folder));
    await syncFolder(join(to, folder));
  }
  for (const name of await list(from, 'file'))
    bytes += (await copyBackwards(join(from, name), join(to, name))) ?? 0;
  await syncFolder(to);
  return bytes;
}

async function copySnapshots(from: string, to: string): Promise<number> {
  let bytes = 0;
  for (const name of await named(from, '.snapshot'))
    bytes += (await copyBackwards(join(from, name), join(to, name))) ?? 0;
  return bytes;
}

/**
 * The newest segment first: then the older ones are complete. A segment is sealed only when its successor is there; so where none has come
 * while the newest was copied, its copy has no seal, and nothing is missing behind it.
 */
async function copyJournal(from: string, to: string): Promise<number> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const [newest, ...older] = await named(from, '.journal');
    if (newest === undefined) return 0;
    let bytes = (await copyBackwards(join(from, newest), join(to, newest))) ?? 0;
    if ((await named(from, '.journal'))[0] !== newest) {
      await rm(join(to, newest));
      continue;
    }
    for (const name of older) {
      const copied = await copyBackwards(join(from, name), join(to, name));
      // A running member has pruned it, and what is older: its snapshots cover that. Whether the copy's do, its proof says.
      if (copied === undefined) break;
      bytes += copied;
    }
    return bytes;
  }
  throw new VerbexError(
    'BACKUP_BEHIND',
    `${from} went on to another segment ${attemptsMax} times while its newest was copied: use larger segments, or a faster target`,
  );
}

/** Files of that ending, the newest first: names are positions. What is being made has another ending. */
async function named(folder: string, ending: string): Promise<string[]> {
  return (await list(folder, 'file'))
    .filter((name) => name.endsWith(ending))
    .sort()
    .reverse();
}

async function list(folder: string, kind: 'file' | 'directory'): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => (kind === 'file' ? entry.isFile() : entry.isDirectory()))
      .map(({ name }) => name);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw new VerbexError('NO_DATA_DIRECTORY', `${folder} is no folder`, { cause });
  }
}

/**
 * From the last page to the first. A snapshot that is removed meanwhile is not missed: there is a newer one in the copy. Undefined: it, or a
 * segment of the journal, is gone.
 */
async function copyBackwards(from: string, to: string): Promise<number | undefined> {
  let source: FileHandle;
  try {
    source = await open(from, 'r');
  } catch (cause) {
    const isGone = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    if (isGone && (from.endsWith('.snapshot') || from.endsWith('.journal'))) return undefined;
    throw cause;
  }
  try {
    const { size, mode } = await source.stat();
    const target = await open(to, 'wx', mode & 0o777);
    try {
      const [buffer, again] = [Buffer.alloc(chunkBytes), Buffer.alloc(chunkBytes)];
      for (let end = size; end > 0; ) {
        const start = Math.floor((end - 1) / chunkBytes) * chunkBytes;
        const length = end - start;
        await readAll(source, buffer, 0, length, start);
        await readAll(source, again, 0, length, start);
        // The same twice: nothing was written there in between, so it is what was there at one moment. Else page by page, the last first.
        if (buffer.compare(again, 0, length, 0, length) !== 0) {
          for (let page = end; page > start; page -= pageBytes) {
            const first = Math.max(start, Math.floor((page - 1) / pageBytes) * pageBytes);
            await readAll(source, buffer, first - start, Math.min(pageBytes, end - first), first);
          }
        }
        await target.write(buffer, 0, length, start);
        end = start;
      }
      await target.sync();
    } finally {
      await target.close();
    }
    return size;
  } finally {
    await source.close();
  }
}

async function readAll(
  file: FileHandle,
  into: Buffer,
  offset: number,
  length: number,
  position: number,
): Promise<void> {
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(into, offset + done, length - done, position + done);
    if (bytesRead === 0) throw new VerbexError('IO_ERROR', 'a file has become shorter while it was copied');
    done += bytesRead;
  }
}

/** New names are on disk only then. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
