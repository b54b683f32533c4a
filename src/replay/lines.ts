/**
 * Lines of a file, in batches, read as a stream: plain, gzip or xz, told apart by their first bytes. `-` is
 * standard input.
 */
import { open } from 'node:fs/promises';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import xz from 'xz-decompress';
import { ReplayError } from './replay-error.ts';

const chunkBytes = 1 << 18;
/** A line longer than this is no line of any format here. */
const lineCharsMax = 1 << 24;

export type Packing = 'plain' | 'gzip' | 'xz';

export function packingOf(head: Uint8Array): Packing {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  const magic = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
  return magic.every((byte, at) => head[at] === byte) ? 'xz' : 'plain';
}

async function headOf(path: string): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const head = new Uint8Array(6);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    return head.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

export class LineReader {
  readonly path: string;
  #size = 0;
  #read = 0;

  constructor(path: string) {
    this.path = path;
  }

  /** 0 to 1, by the bytes of the file as it lies on the disk. */
  get progress(): number {
    return this.#size === 0 ? 0 : Math.min(1, this.#read / this.#size);
  }

  /** Each batch holds whole lines without their ends. Empty lines are kept, so that numbers can be counted. */
  async *batches(): AsyncGenerator<string[]> {
    const decoder = new TextDecoder('utf-8');
    let rest = '';
    try {
      for await (const chunk of await this.#unpacked()) {
        const text = rest + decoder.decode(chunk, { stream: true });
        const lines = text.split('\n');
        rest = lines.pop() ?? '';
        if (rest.length > lineCharsMax) {
          throw new ReplayError(
            'REPLAY_LINE_TOO_LONG',
            `${this.path}: a line is longer than ${lineCharsMax} characters`,
          );
        }
        for (let at = 0; at < lines.length; at += 1) {
          const line = lines[at]!;
          if (line.endsWith('\r')) lines[at] = line.slice(0, -1);
        }
        if (lines.length > 0) yield lines;
      }
    } catch (cause) {
      if (cause instanceof ReplayError) throw cause;
      throw new ReplayError('REPLAY_FILE_UNREADABLE', `${this.path}: ${(cause as Error).message}`, { cause });
    }
    rest += decoder.decode();
    if (rest !== '') yield [rest.endsWith('\r') ? rest.slice(0, -1) : rest];
  }

  #unpacked(): AsyncIterable<Uint8Array> | Promise<AsyncIterable<Uint8Array>> {
    return this.path === '-' ? process.stdin : this.#unpackedFile();
  }

  async #unpackedFile(): Promise<AsyncIterable<Uint8Array>> {
    const packing = packingOf(await headOf(this.path));
    const chunks = this.#chunks();
    if (packing === 'plain') return chunks;
    if (packing === 'gzip') return gunzipped(chunks);
    const pulled = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await chunks.return(undefined);
      },
    });
    return new xz.XzReadableStream(pulled as never) as unknown as AsyncIterable<Uint8Array>;
  }

  /** The file's bytes as they lie there. */
  async *#chunks(): AsyncGenerator<Uint8Array, undefined> {
    const file = await open(this.path, 'r');
    try {
      this.#size = (await file.stat()).size;
      this.#read = 0;
      for (;;) {
        // Fresh memory for each: whoever unpacks may keep the last one.
        const chunk = new Uint8Array(chunkBytes);
        const { bytesRead } = await file.read(chunk, 0, chunkBytes, null);
        if (bytesRead === 0) return undefined;
        this.#read += bytesRead;
        yield chunk.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
  }
}

/** Errors of either end come out of the loop that reads. */
function gunzipped(chunks: AsyncGenerator<Uint8Array>): AsyncIterable<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: chunkBytes });
  pipeline(Readable.from(chunks, { objectMode: false }), gunzip, () => undefined);
  return gunzip;
}
