// FileControlStore: the control store of a cluster on one machine, in a folder of a local file system; native/node/file_control.h is the
// same in C++, and both may be at work in one folder.
//
// The record of revision n is the file `configuration.<n>`. A swap writes its text to a file of another name, syncs it, and links it to the
// next number: link(2) fails where that number is taken, so of two writers one wins, whatever dies when, and there is no lock to be left
// behind. What is there is whole, since it was whole before it had its name.
//
// Records are never removed: a number that was could be linked once more by a writer that slept since it read the one before, and that
// would believe it had won. A cluster changes its configuration a few times a failure, so they stay few.
import { randomBytes } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { link, mkdir, open, readdir, readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { invalidOption } from '../errors/checks.ts';
import { ClusterError } from '../errors/errors.ts';
import {
  type ControlRecord,
  type ControlStore,
  controlTextMax,
  noRecord,
  type ReadAnswer,
  type SwapAnswer,
  unknown,
  within,
} from './control-store.ts';

const recordName = /^configuration\.([1-9]\d{0,18})$/;
const draftName = /^draft\./;
const hourMs = 3_600_000;

export interface FileControlStoreOptions {
  /** An operation that takes longer is answered `unknown`. */
  readonly timeoutMs?: number;
  /** Between two looks for changes, beside the system's own word. */
  readonly pollMs?: number;
}

/** Where tests stop a writer: a promise that is awaited. */
export type Step = 'read' | 'drafted' | 'linked';

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | null)?.code;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export class FileControlStore implements ControlStore {
  readonly folder: string;
  readonly #timeoutMs: number;
  readonly #pollMs: number;
  readonly #watching = new Set<() => void>();
  /** The highest revision that was seen, and the highest whose name is known to be on disk. */
  #seen = 0n;
  #durable = 0n;
  #closed = false;
  /** For tests: is awaited at each step of a swap. */
  atStep: (step: Step) => Promise<void> | void = () => undefined;

  private constructor(folder: string, { timeoutMs = 1000, pollMs = 200 }: FileControlStoreOptions) {
    this.folder = folder;
    this.#timeoutMs = timeoutMs;
    this.#pollMs = pollMs;
  }

  /** Makes the folder where there is none. Throws CONTROL_STORE_UNUSABLE where its file system has no hard links. */
  static async open(folder: string, options: FileControlStoreOptions = {}): Promise<FileControlStore> {
    const store = new FileControlStore(folder, options);
    try {
      await mkdir(folder, { recursive: true });
      const draft = await store.#draft('');
      const second = `${draft}.linked`;
      await link(draft, second);
      await unlink(second);
      await unlink(draft);
      await syncFolder(folder);
      await store.#sweep();
    } catch (cause) {
      throw new ClusterError(
        'CONTROL_STORE_UNUSABLE',
        `${folder} cannot hold a control store: ${(cause as Error).message}`,
        { cause },
      );
    }
    return store;
  }

  read(): Promise<ReadAnswer> {
    return this.#bounded(async () => ({ kind: 'read', record: await this.#highest() }));
  }

  compareAndSwap(expected: bigint, text: string): Promise<SwapAnswer> {
    if (Buffer.byteLength(text) > controlTextMax)
      throw invalidOption('text', `${text.length} characters`, `at most ${controlTextMax} bytes`);
    return this.#bounded(() => this.#swap(expected, text));
  }

  watch(onChange: (record: ControlRecord) => void): () => void {
    let seen = 0n;
    let looking = false;
    let again = false;
    let ended = false;
    const look = async (): Promise<void> => {
      if (looking) {
        again = true;
        return;
      }
      looking = true;
      do {
        again = false;
        const answer = await this.read();
        if (ended || answer.kind !== 'read' || answer.record.revision <= seen) continue;
        seen = answer.record.revision;
        onChange(answer.record);
      } while (again && !ended);
      looking = false;
    };
    const poll = setInterval(() => void look(), this.#pollMs);
    let watcher: FSWatcher | undefined;
    try {
      watcher = watch(this.folder, () => void look());
      // The poll goes on without it.
      watcher.on('error', () => undefined);
    } catch {
      // Too many watches on this machine: the poll is enough.
    }
    void look();
    const end = (): void => {
      ended = true;
      clearInterval(poll);
      watcher?.close();
      this.#watching.delete(end);
    };
    this.#watching.add(end);
    return end;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const end of this.#watching) end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #bounded<T>(work: () => Promise<T>): Promise<T | ReturnType<typeof unknown>> {
    if (this.#closed) return Promise.resolve(unknown('the control store is closed'));
    return within(
      this.#timeoutMs,
      work().catch((error: unknown) => unknown(error)),
      () => unknown(`the disk did not answer within ${this.#timeoutMs} ms`),
    );
  }

  #path(revision: bigint): string {
    return join(this.folder, `configuration.${revision}`);
  }

  async #draft(text: string): Promise<string> {
    const path = join(this.folder, `draft.${process.pid}.${randomBytes(8).toString('hex')}`);
    const handle = await open(path, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    return path;
  }

  async #exists(revision: bigint): Promise<boolean> {
    try {
      await stat(this.#path(revision));
      return true;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false;
      throw error;
    }
  }

  async #highest(): Promise<ControlRecord> {
    let revision = this.#seen;
    if (revision === 0n) {
      for (const name of await readdir(this.folder)) {
        const match = recordName.exec(name);
        if (match !== null && BigInt(match[1]!) > revision) revision = BigInt(match[1]!);
      }
    }
    // A folder's listing is of no one moment; that the next number is free is.
    while (await this.#exists(revision + 1n)) revision += 1n;
    if (revision === 0n) return noRecord;
    const text = await readFile(this.#path(revision), 'utf8');
    if (revision > this.#durable) {
      // Its writer may not have come to this: nobody may act on what a power cut could take back.
      await syncFolder(this.folder);
      if (revision > this.#durable) this.#durable = revision;
    }
    if (revision > this.#seen) this.#seen = revision;
    return { revision, text };
  }

  async #swap(expected: bigint, text: string): Promise<SwapAnswer> {
    const record = await this.#highest();
    if (record.revision !== expected) return { kind: 'conflict', record };
    await this.atStep('read');
    const revision = expected + 1n;
    const draft = await this.#draft(text);
    await this.atStep('drafted');
    try {
      await link(draft, this.#path(revision));
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      return { kind: 'conflict', record: await this.#highest() };
    } finally {
      await unlink(draft).catch(() => undefined);
    }
    await this.atStep('linked');
    await syncFolder(this.folder);
    if (revision > this.#durable) this.#durable = revision;
    return { kind: 'swapped', record: { revision, text } };
  }

  /** What writers left behind that died long ago; where one has not, its swap ends as `unknown`. */
  async #sweep(): Promise<void> {
    for (const name of (await readdir(this.folder)).filter((one) => draftName.test(one))) {
      const path = join(this.folder, name);
      const found = await stat(path).catch(() => undefined);
      if (found !== undefined && Date.now() - found.mtimeMs > hourMs)
        await unlink(path).catch(() => undefined);
    }
  }
}
