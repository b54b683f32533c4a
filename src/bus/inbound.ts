// Messages out of a subscription's ring. A record is 16 bytes (size, unused, position) and the payload, filled up to a multiple of 16; a size
// of 2^32 - 1 means that nothing follows before the ring's end (native/addon/byte_ring.h).
import type { BusMessage } from './types.ts';

const headerBytes = 16;
const positionOffset = 8;
const padRecord = 0xffff_ffff;
/** What is copied out at once, unless one message alone is longer. */
const batchBytes = 1 << 18;

export interface Run {
  readonly messages: BusMessage[];
  /** Bytes of the ring that the messages took. */
  readonly bytes: number;
}

export class Inbound {
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #positions: BigUint64Array;
  #read = 0;

  constructor(memory: ArrayBuffer) {
    this.#bytes = new Uint8Array(memory);
    this.#words = new Uint32Array(memory);
    this.#positions = new BigUint64Array(memory);
  }

  /** At most `limit` messages of the `ready` bytes behind the read index, as copies; moves the read index. */
  take(ready: number, limit: number): Run {
    const from = this.#read;
    const end = from + ready;
    const sizes: number[] = [];
    let at = from;
    while (at < end && sizes.length < limit) {
      const size = this.#words[at / 4]!;
      if (size === padRecord) {
        at = end;
        break;
      }
      const next = at + slotOf(size);
      if (sizes.length > 0 && next - from > batchBytes) break;
      sizes.push(size);
      at = next;
    }
    const copy = this.#bytes.slice(from, at).buffer;
    const messages: BusMessage[] = [];
    let offset = 0;
    for (const size of sizes) {
      messages.push({
        position: this.#positions[(from + offset + positionOffset) / 8]!,
        data: new Uint8Array(copy, offset + headerBytes, size),
      });
      offset += slotOf(size);
    }
    this.#read = at === this.#bytes.length ? 0 : at;
    return { messages, bytes: at - from };
  }
}

function slotOf(size: number): number {
  return Math.ceil((headerBytes + size) / 16) * 16;
}
